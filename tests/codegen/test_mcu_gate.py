"""What generated C costs may not grow unnoticed: scripts/bench_mcu --renew records it anew."""

from __future__ import annotations

import mcu_gate
import msgspec
import pytest
from mcu_gate import Baseline, Cost
from mcu_records import Tools

pytest.importorskip("flatbuffers")

TOOLS = Tools("gcc 12", "qemu 7")


def baseline(instructions: int, sram: int, tools: Tools = TOOLS) -> Baseline:
    return Baseline(tools, {"net": {"cortex-m4": Cost(instructions, sram, 5)}})


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_two_small_models_cost_no_more_than_was_recorded():
    before, now = mcu_gate.read(), mcu_gate.run()
    changed = [*mcu_gate.grown(before, now), *mcu_gate.stale(before, now)]
    assert not changed, "; ".join(
        [*changed, "where that has its reason, run scripts/bench_mcu --renew and commit the file"]
    )


def test_the_baseline_is_of_the_models_and_cores_that_are_run():
    costs = mcu_gate.read().costs
    assert set(costs) == set(mcu_gate.MODELS)
    assert all(set(cores) == {"cortex-m3", "cortex-m4", "cortex-m55"} for cores in costs.values())


@pytest.mark.parametrize("instructions", [1020, 1000, 10])
def test_two_percent_more_instructions_pass(instructions):
    assert mcu_gate.grown(baseline(1000, 64), baseline(instructions, 64)) == []


def test_more_than_two_percent_fail_and_are_named():
    assert mcu_gate.grown(baseline(10_000, 64), baseline(10_201, 64)) == [
        "net on cortex-m4: 10,201 instructions, 2.0% more than 10,000"
    ]


def test_one_byte_of_sram_fails():
    assert mcu_gate.grown(baseline(1000, 64), baseline(1000, 65)) == [
        "net on cortex-m4: 65 bytes of SRAM, 64 before"
    ]


def test_another_compiler_may_need_more_instructions_but_no_byte_of_sram():
    other = Tools("gcc 13", "qemu 8")
    assert mcu_gate.grown(baseline(1000, 64), baseline(1100, 64, other)) == []
    assert len(mcu_gate.grown(baseline(1000, 64), baseline(1101, 65, other))) == 2


def test_a_baseline_that_is_far_too_high_is_named():
    assert mcu_gate.stale(baseline(1000, 64), baseline(950, 64)) == []
    assert mcu_gate.stale(baseline(1000, 64), baseline(949, 64)) == [
        "net on cortex-m4: 949 instructions, and the baseline says 1,000"
    ]
    assert mcu_gate.stale(baseline(1000, 64), baseline(9, 64, Tools("gcc 13", "qemu 8"))) == []


def test_a_renewed_baseline_is_one_that_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(mcu_gate, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(mcu_gate, "run", lambda: baseline(7, 8))
    mcu_gate.renew()
    assert mcu_gate.read() == baseline(7, 8)
    assert msgspec.json.decode((tmp_path / "baseline.json").read_bytes())["tools"]
