"""Chains of layers that run row by row: by simulation, under the sanitizers, on boards."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import chains
import nightly
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network
from poisoned import WRONG, Poisoned

from edgenet.architecture import network
from edgenet.codegen import budget, emit, qemu, report, rows, untrained
from edgenet.codegen.program import Golden, Program, program
from edgenet.codegen.rows import Rows
from edgenet.errors import LimitExceeded, UsageError

pytest.importorskip("flatbuffers")


def mobilenet(alpha: float, side: int) -> bytes:
    """MobileNetV1 as it is before it learns."""
    return untrained.model(network("mobilenet_v1", alpha=alpha, classes=10), side, side)


def chains_of(made: Program) -> list[Rows]:
    return [layer for layer in made.layers if isinstance(layer, Rows)]


class Memory:
    """An arena whose bytes carry the name of what was last written there.

    Args:
        made: a program.
        layer: the chain that runs.
    """

    def __init__(self, made: Program, layer: Rows) -> None:
        plan, parts = made.plan, made.plan.parts[layer.layer.name]
        self.names: dict[str, int] = {}
        self.arena = np.zeros(plan.size, np.int64)
        self.stages = layer.stages
        self.source = plan.addresses[layer.layer.inputs[0]]
        self.out = plan.addresses[layer.layer.output]
        self.windows = [None if part is None else parts[part] for part in layer.windows]
        self.scratches = [None if part is None else parts[part] for part in layer.scratches]
        first = self.stages[0]
        for row in range(first.in_rows):
            self.write(self.source + row * first.row_bytes, first.row_bytes, f"-1 {row}")

    def write(self, address: int, size: int, name: str) -> None:
        assert 0 <= address <= len(self.arena) - size
        self.arena[address : address + size] = self.names.setdefault(name, len(self.names) + 1)

    def expect(self, address: int, size: int, name: str) -> None:
        assert (self.arena[address : address + size] == self.names[name]).all(), name

    def run(self) -> None:
        """Every stage asks the one before for the rows that it lacks."""
        self.held: list[list[str]] = [[] for _ in self.stages]
        self.next = [-stage.pad_top for stage in self.stages]  # row of its input to ask for
        last = len(self.stages) - 1
        for row in range(self.stages[last].out_rows):
            self.make(last, row, self.out + row * self.stages[last].out_bytes)
        for row in range(self.stages[last].out_rows):
            size = self.stages[last].out_bytes
            self.expect(self.out + row * size, size, f"{last} {row}")

    def make(self, index: int, row: int, to: int) -> None:
        """A row of a stage's output, at an address."""
        stage, at = self.stages[index], self.windows[index]
        if at is None:
            start = self.source + row * stage.stride * stage.row_bytes
            for offset in range(stage.kernel_rows):
                name = f"-1 {row * stage.stride + offset}"
                self.expect(start + offset * stage.row_bytes, stage.row_bytes, name)
        else:
            for wanted in range(self.next[index], self.top(stage, row) + stage.kernel_rows):
                self.fetch(index, wanted, max(self.top(stage, row), wanted - stage.kernel_rows))
            for offset in range(stage.kernel_rows):
                name = self.name(index, self.top(stage, row) + offset)
                self.expect(at + offset * stage.row_bytes, stage.row_bytes, name)
        if self.scratches[index] is not None:
            self.write(self.scratches[index], stage.lowered.work.scratch, f"scratch {index}")
        self.write(to, stage.out_bytes, f"{index} {row}")
        if at is not None:
            for offset in range(stage.kernel_rows - stage.stride):
                name = self.name(index, self.top(stage, row) + stage.stride + offset)
                self.write(at + offset * stage.row_bytes, stage.row_bytes, name)

    def fetch(self, index: int, row: int, top: int) -> None:
        """A row of a stage's input, into its window; one before the window is passed over."""
        stage = self.stages[index]
        slot = self.windows[index] + max(row - top, 0) * stage.row_bytes
        self.next[index] = row + 1
        if not 0 <= row < stage.in_rows:
            self.names.setdefault(self.name(index, row), len(self.names) + 1)
            if row < 0:
                return  # written with the first row of the map
            self.write(slot, stage.row_bytes, self.name(index, row))
            return
        if index == 0:
            self.expect(self.source + row * stage.row_bytes, stage.row_bytes, f"-1 {row}")
            self.write(slot, stage.row_bytes, f"-1 {row}")
        else:
            self.make(index - 1, row, slot)
        for above in range(-stage.pad_top if row == 0 else 0, 0):
            at = self.windows[index] + (above + stage.pad_top) * stage.row_bytes
            self.write(at, stage.row_bytes, self.name(index, above))

    def name(self, index: int, row: int) -> str:
        inside = 0 <= row < self.stages[index].in_rows
        return f"{index - 1} {row}" if inside else f"padding of {index}"

    @staticmethod
    def top(stage: rows.Stage, row: int) -> int:
        """The first row of the input that a row of the output covers."""
        return row * stage.stride - stage.pad_top


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_no_row_is_written_over_before_its_last_use(seed):
    for made in chains.budgets(chains.chain(seed)):
        for layer in chains_of(made):
            Memory(made, layer).run()


def poisoned_run(made: Program, folder: Path) -> Poisoned:
    emit.write(made, folder)
    return Poisoned(made, folder)


def check(data: bytes, folder: Path, most: int = 6) -> int:
    """Every program of a falling budget, exact and within its plan; how many chains there were."""
    found = 0
    for number, made in enumerate(chains.budgets(data, most)):
        done = poisoned_run(made, folder / str(number)).run()
        assert done.returncode == 0, done.stderr[:2000]
        found += len(chains_of(made))
    return found


@pytest.fixture(scope="module")
def fused() -> Program:
    """A small network of which three layers are a chain, in place, two of them padded."""
    *_, made = chains.budgets(chains.separable(3), 2)
    (layer,) = chains_of(made)
    assert [(stage.kernel_rows, stage.padded) for stage in layer.stages] == [
        (3, True), (1, False), (3, True),
    ]  # fmt: skip
    assert len(np.unique(made.golden().outputs[0])) > 30  # or a wrong row might not show
    return made


@pytest.fixture(scope="module")
def watched(fused, tmp_path_factory) -> Poisoned:
    return poisoned_run(fused, tmp_path_factory.mktemp("fused"))


@pytest.mark.tool("cc")
def test_a_chain_is_exact_and_touches_nothing_outside_its_plan(watched):
    done = watched.run()
    assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.slow
@pytest.mark.tool("cc")
@pytest.mark.parametrize("seed", nightly.beyond(3, range(100, 130)))
def test_many_chains_are_exact_and_touch_nothing_outside_their_plan(seed, tmp_path):
    check(chains.chain(seed), tmp_path / "any", 4)
    check(chains.separable(seed), tmp_path / "separable", 4)


@pytest.mark.slow
@pytest.mark.tool("cc")
@pytest.mark.parametrize("seed", nightly.beyond(4, range(30)))
def test_networks_of_all_layers_touch_nothing_outside_their_plan(seed, tmp_path):
    drawn, y = random_network(np.random.default_rng(seed))
    check(drawn.file(y), tmp_path, 2)


@pytest.mark.tool("cc")
def test_each_region_that_the_plan_gives_is_asked_for(fused, watched):
    """What the tests above prove can fail: it does without a region that no other one covers."""
    tried = 0
    for number, step in enumerate(fused.plan.steps):
        for gone in step.regions:
            others = [one for one in step.regions if one is not gone]
            if any(one.address < gone.end and gone.address < one.end for one in others):
                continue
            steps = list(fused.plan.steps)
            steps[number] = dataclasses.replace(step, regions=tuple(others))
            done = watched.run(dataclasses.replace(fused.plan, steps=tuple(steps)))
            assert done.returncode not in (0, WRONG)
            assert "use-after-poison" in done.stderr
            tried += 1
    assert tried > 4


def test_a_chain_can_start_no_later_over_its_input(fused):
    """Its distance is the least, and the simulation tells when it is not kept."""
    (layer,) = chains_of(fused)
    ((source, (ahead, never)),) = layer.work.walks.items()
    walks = {source: (ahead - layer.stages[-1].out_bytes, never)}
    late = dataclasses.replace(layer, work=dataclasses.replace(layer.work, walks=walks))
    layers = tuple(late if one is layer else one for one in fused.layers)
    wrong = dataclasses.replace(fused, layers=layers, plan=budget.planned(fused.graph, layers))
    assert wrong.plan.size < fused.plan.size
    with pytest.raises(AssertionError, match="-1 "):
        Memory(wrong, late).run()


def test_a_budget_is_kept_or_the_least_is_told():
    data = mobilenet(0.25, 32)
    whole = program(data, "net")
    assert not chains_of(whole)
    with pytest.raises(LimitExceeded, match="and the budget is 1,000; allow as many") as refused:
        program(data, "net", sram_budget=1000)
    least = int(re.search(r"net needs ([\d,]+) bytes", str(refused.value))[1].replace(",", ""))
    assert 32 * 32 * 3 <= least < whole.plan.size
    made = program(data, "net", sram_budget=least)
    assert made.plan.size == least
    assert chains_of(made)
    with pytest.raises(LimitExceeded, match=f"net needs {least:,} bytes"):
        program(data, "net", sram_budget=least - 1)


def test_a_budget_that_is_large_enough_fuses_nothing():
    data = mobilenet(0.25, 32)
    made = program(data, "net", sram_budget=program(data, "net").plan.size)
    assert not chains_of(made)


@pytest.mark.parametrize("size", [0, -5])
def test_a_budget_that_is_no_size_is_refused(size):
    with pytest.raises(UsageError, match="give a positive number"):
        program(mobilenet(0.25, 32), "net", sram_budget=size)


def test_the_small_mobilenet_needs_little_more_than_its_picture():
    data = mobilenet(0.25, 96)
    assert program(data, "net").plan.size <= 41_800
    made = program(data, "net", sram_budget=30_000)
    assert 96 * 96 * 3 <= made.plan.size <= 30_000
    # what is never whole has no checksum
    assert made.golden(1).crcs.shape[1] == len(made.layers) == len(made.graph.layers) - 1


@pytest.mark.slow
def test_the_large_mobilenet_fits_beside_its_picture():
    data = mobilenet(1.0, 224)
    assert program(data, "net").plan.size <= 860_000
    made = program(data, "net", sram_budget=230_000)
    assert 224 * 224 * 3 <= made.plan.size <= 230_000
    assert max(len(layer.stages) for layer in chains_of(made)) <= rows.MOST


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.tool("cc")
def test_the_large_mobilenet_is_exact_under_its_budget(tmp_path):
    made = program(mobilenet(1.0, 224), "net", sram_budget=230_000)
    done = poisoned_run(made, tmp_path).run()
    assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
@pytest.mark.parametrize(
    "board",
    [
        "mps2-an386",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mps2-an385", "mps2-an500", "mps3-an547")
        ),
    ],
)
def test_a_fused_network_is_exact_on(board, tmp_path):
    *_, made = chains.budgets(mobilenet(0.25, 32), 2)
    counted, golden = on_board(made, board, tmp_path)
    np.testing.assert_array_equal(counted.outputs, golden.outputs[0])
    assert counted.stack <= 1024


def on_board(made: Program, board: str, folder: Path) -> tuple[qemu.Counted, Golden]:
    emit.write(made, folder / "c")
    golden = made.golden(2)
    firmware = qemu.build(folder / "c", qemu.board(board), folder / board)
    return qemu.run(firmware, golden.inputs[0]), golden


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_rows_cost_few_instructions(tmp_path):
    data = mobilenet(0.25, 96)
    programs = program(data, "net"), program(data, "net", sram_budget=30_000)
    whole, fused = (
        on_board(made, "mps2-an386", tmp_path / str(number))[0].instructions
        for number, made in enumerate(programs)
    )
    assert whole < fused < 1.06 * whole


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
@pytest.mark.parametrize("board", ["mps2-an385", "mps2-an386", "mps3-an547"])
@pytest.mark.parametrize("seed", range(6))
def test_many_chains_are_exact_on(board, seed, tmp_path):
    for number, made in enumerate(chains.budgets(chains.separable(seed), 4)):
        counted, golden = on_board(made, board, tmp_path / str(number))
        np.testing.assert_array_equal(counted.outputs, golden.outputs[0])


def test_the_report_names_what_is_never_whole():
    made = program(mobilenet(0.25, 96), "net", sram_budget=30_000)
    files = report.files(made)
    (layer,) = chains_of(made)
    inner = made.graph.layers[made.layers.index(layer)].name
    assert f"{inner} runs row by row" in files["REPORT.md"]
    recorded = json.loads(files["REPORT.json"])["layers"][made.layers.index(layer)]
    assert recorded["row_by_row"] == [stage.lowered.layer.name for stage in layer.stages]
    assert "3 rows for DEPTHWISE_CONV_2D 3" in files["arena.svg"]
