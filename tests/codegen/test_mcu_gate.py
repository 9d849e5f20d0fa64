"""What generated C costs may not grow unnoticed: scripts/bench_mcu --renew records it anew."""

from __future__ import annotations

import sys

import mcu_gate
import msgspec
import pytest
from mcu_gate import Baseline, Cost
from mcu_measure import generate
from mcu_records import Tools

from edgenet.codegen.rows import Rows

pytest.importorskip("flatbuffers")

TOOLS = Tools("gcc 12", "qemu 7")
OTHER = Tools("gcc 13", "qemu 8")


def baseline(instructions: int, sram: int, tools: Tools = TOOLS) -> Baseline:
    return Baseline(tools, {"net": {"cortex-m4": Cost(instructions, sram, 5)}})


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_small_models_cost_no_more_than_was_recorded(capsys):
    before, now = mcu_gate.read(), mcu_gate.run()
    with capsys.disabled():
        sys.stdout.writelines(f"\n{line}" for line in mcu_gate.loosened(before, now))
    changed = [*mcu_gate.grown(before, now), *mcu_gate.stale(before, now)]
    assert not changed, "; ".join(
        [*changed, "where that has its reason, run scripts/bench_mcu --renew and commit the file"]
    )


def test_one_of_them_runs_row_by_row():
    model = mcu_gate.MODELS["row_by_row"]
    made = generate(model.read(), "net", budget=model.budget)
    assert sum(isinstance(layer, Rows) for layer in made.layers) > 1
    assert generate(model.read(), "net").plan.size > model.budget


def test_the_baseline_is_of_the_models_and_cores_that_are_run():
    costs = mcu_gate.read().costs
    assert set(costs) == set(mcu_gate.MODELS)
    assert all(set(cores) == {"cortex-m3", "cortex-m4", "cortex-m55"} for cores in costs.values())


@pytest.mark.parametrize("instructions", [1020, 1000, 10])
def test_two_percent_more_instructions_pass(instructions):
    assert mcu_gate.grown(baseline(1000, 64), baseline(instructions, 64)) == []


def test_more_than_two_percent_fail_and_are_named():
    assert mcu_gate.grown(baseline(10_000, 64), baseline(10_201, 64)) == [
        "net on cortex-m4: 10,201 instructions, +2.0% of 10,000"
    ]


@pytest.mark.parametrize("tools", [TOOLS, OTHER])
def test_one_byte_of_sram_fails_with_any_compiler(tools):
    assert mcu_gate.grown(baseline(1000, 64), baseline(1000, 65, tools)) == [
        "net on cortex-m4: 65 bytes of SRAM, 64 before"
    ]
    assert mcu_gate.stale(baseline(1000, 64), baseline(1000, 63, tools)) == [
        "net on cortex-m4: 63 bytes of SRAM, and the baseline says 64"
    ]


def test_another_compiler_may_need_more_instructions_which_are_printed():
    assert mcu_gate.grown(baseline(1000, 64), baseline(1100, 64, OTHER)) == []
    assert len(mcu_gate.grown(baseline(1000, 64), baseline(1101, 64, OTHER))) == 1
    assert mcu_gate.loosened(baseline(1000, 64), baseline(1099, 64, OTHER)) == [
        "gcc 13, not gcc 12: 10% more pass",
        "net on cortex-m4: 1,099 instructions, +9.9% of 1,000",
    ]
    assert mcu_gate.loosened(baseline(1000, 64), baseline(1099, 64)) == []


def test_a_baseline_that_is_far_too_high_is_named():
    assert mcu_gate.stale(baseline(1000, 64), baseline(950, 64)) == []
    assert mcu_gate.stale(baseline(1000, 64), baseline(949, 64)) == [
        "net on cortex-m4: 949 instructions, -5.1% of 1,000"
    ]
    assert mcu_gate.stale(baseline(1000, 64), baseline(9, 64, OTHER)) == []


def test_a_renewed_baseline_is_one_that_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(mcu_gate, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(mcu_gate, "run", lambda: baseline(7, 8))
    mcu_gate.renew()
    assert mcu_gate.read() == baseline(7, 8)
    assert msgspec.json.decode((tmp_path / "baseline.json").read_bytes())["tools"]
