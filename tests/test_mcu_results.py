"""The measurements of generated C in docs are whole, exact, and told as they are."""

from __future__ import annotations

from pathlib import Path

import mcu_baselines
import mcu_table
import msgspec
import pytest
from benchmark_networks import NETWORKS
from mcu_records import AccuracyBench, Bench, Measured

BENCH = Path(__file__).parents[1] / "docs" / "bench"
CORES = {f"cortex-{core}" for core in ("m3", "m4", "m7", "m33", "m55")}
ROW = Measured(
    model="resnet8", core="cortex-m4", board="mps2-an386", macs=12_501_632, macs_left=12_501_632,
    instructions=14_000_000, sram=55_000, stack=300, flash=90_000, constants=80_000, exact=True,
    layers={},
)  # fmt: skip


def test_every_network_was_measured_on_every_core_and_every_demand_has_its_row():
    rows = msgspec.json.decode((BENCH / "mcu.json").read_bytes(), type=Bench).rows
    usual = {(one.model, one.core) for one in rows if not one.variant and one.budget is None}
    small = {*NETWORKS, "dead_channels"} - {"mobilenet_v1_100_224"}
    assert usual >= {(model, core) for model in small for core in CORES}
    assert usual >= set(mcu_baselines.LIMITS)
    assert usual >= set(mcu_baselines.TFLM_CMSIS_NN)
    budgets = {(one.model, one.budget) for one in rows if one.budget}
    assert budgets == set(mcu_baselines.BUDGETS.items())
    assert all(one.exact for one in rows)


def test_elimination_is_told_before_and_after():
    rows = msgspec.json.decode((BENCH / "mcu.json").read_bytes(), type=Bench).rows
    found = [one for one in rows if one.model == "dead_channels"]
    before = {one.core: one for one in found if one.variant}
    after = {one.core: one for one in found if not one.variant}
    assert set(before) == set(after) == CORES
    for core, one in after.items():
        assert one.macs_left < 0.25 * before[core].macs_left
        assert one.instructions < 0.5 * before[core].instructions
        assert one.constants < 0.2 * before[core].constants


def test_whole_data_sets_gave_tflms_logits():
    results = msgspec.json.decode(
        (BENCH / "mcu_accuracy.json").read_bytes(), type=AccuracyBench
    ).results
    assert {one.images for one in results} == {10_000, 3_925}
    assert all(one.different_logits == 0 for one in results)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "instructions 14,000,000 met, sram 55,000 met"),
        ({"instructions": 14_000_001}, "instructions 14,000,000 **not met**, sram 55,000 met"),
        ({"sram": 55_001}, "instructions 14,000,000 met, sram 55,000 **not met**"),
        ({"exact": False}, "**NOT EXACT**, instructions 14,000,000 met, sram 55,000 met"),
        ({"budget": 40_000}, "sram 40,000 **not met**"),
        ({"core": "cortex-m33"}, ""),
    ],
)
def test_each_demand_is_met_or_not(change, words):
    row = msgspec.structs.replace(ROW, **change)
    assert mcu_table.verdict(row) == words
    assert mcu_table.missed([row]) == ("**" in words)


def test_a_row_shows_how_many_times_tflms_cost_ours_is():
    assert mcu_table.beside(ROW) == ["29,863,743 (2.13x)", "55,716 (1.01x)", "210,320 (2.34x)"]
    assert mcu_table.beside(msgspec.structs.replace(ROW, core="cortex-m33")) == ["", "", ""]
