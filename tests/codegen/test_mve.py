"""MVE's kernels on an emulated Cortex-M55 against the reference, and what they cost there."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

import layers
import numpy as np
import pytest
from benchmark_networks import resnet8
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edgenet.codegen import emit, qemu
from edgenet.codegen.plan import NEVER
from edgenet.codegen.program import program
from edgenet.int8 import graph as g

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.tool("arm-none-eabi-gcc"),
    pytest.mark.tool("qemu-system-arm"),
]
BOARD = "mps3-an547"
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"
SEEDS = st.integers(0, 2**32 - 1)
GUARD = 32  # bytes around everything that no kernel may write to
UNTOUCHED = 0x55  # what the driver fills buffers with


class Board:
    """The driver of test_kernels on the board, built once; many cases in one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        board = qemu.board(BOARD)
        core = [f"-mcpu={board.core}", "-mthumb", "-std=c11", "-O2"]
        core += ["-mfloat-abi=hard", "-mfpu=auto"]
        (folder / "entry.c").write_text(
            "extern void initialise_monitor_handles(void);\n"
            "int driver_main(int argc, char **argv);\n"
            "void _init(void) {}\nvoid _fini(void) {}\n"
            "int main(void) { initialise_monitor_handles(); return driver_main(0, 0); }\n"
        )
        (folder / "board.ld").write_text(qemu.link_script(board))
        with resources.as_file(resources.files("edgenet.codegen") / "firmware") as firmware:
            compiler = ["arm-none-eabi-gcc", *core, f"-I{layers.SOURCES}", f"-I{firmware}"]
            driver = ["-Dmain=driver_main", "-c", str(layers.DRIVER)]
            subprocess.run([*compiler, *driver, "-o", str(folder / "driver.o")], check=True)
            files = [folder / "driver.o", folder / "entry.c", firmware / "start.c"]
            link = ["--specs=rdimon.specs", "-nostartfiles", f"-L{firmware}"]
            link += [f"-T{folder / 'board.ld'}", "-o", str(folder / "elf")]
            sources = map(str, [*files, *sorted(layers.SOURCES.glob("*.c"))])
            subprocess.run([*compiler, *link, *sources], check=True)

    def run(self, records: list[bytes], sizes: list[int]) -> list[np.ndarray]:
        (self._folder / "in.bin").write_bytes(b"".join(records))
        command = ["qemu-system-arm", "-M", BOARD, "-nographic", "-monitor", "none"]
        command += ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
        subprocess.run([*command, "-kernel", "elf"], cwd=self._folder, check=True)
        found = np.fromfile(self._folder / "out.bin", np.int8)
        assert len(found) == sum(sizes)
        return np.split(found, np.cumsum(sizes)[:-1])


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return Board(tmp_path_factory.mktemp("m55"))


class Memory:
    """One block with a case's inputs, output and scratch in it, and guards between them.

    Args:
        case: with an MVE flavour.
        over: None for an output of its own; else backwards or not, and the distance from the input.
    """

    def __init__(self, case: layers.Case, over: tuple[bool, int] | None = None) -> None:
        self.case = case
        (call,) = case.lowered.calls
        assert call.mve is not None
        self.call, self.backwards = call.mve, bool(over and over[0])
        end = GUARD
        self.places = []
        sizes = [codes.size for codes in case.inputs]
        size = case.expected.size
        if over is None:
            for one in (*sizes, size):
                self.places.append(end)
                end += one + GUARD
        else:
            source, target = layers._over(sizes[0], size, *over)
            self.places = [end + source, end + target]
            end += max(source + sizes[0], target + size) + GUARD
        self.inputs = list(zip(self.places, sizes, strict=False))
        self.output = (self.places[-1], size)
        self.scratch = (end, case.lowered.work.scratch)
        self.size = end + case.lowered.work.scratch + GUARD

    def record(self) -> bytes:
        fields = dict(self.call.fields)
        if "backwards" in fields:
            fields["backwards"] = int(self.backwards)
        layout = layers.Layout(4)
        layout.add(fields)
        constants = [constant.values.tobytes() for _, constant in layout.pointers]
        places = [*self.places, *([self.scratch[0]] if self.call.scratch else []), 0]
        number = layers.numbers
        parts = [number(layers.ORDER.index(self.call.kernel), len(constants))]
        parts += [number(len(c)) + c for c in constants]
        parts += [number(len(layout.data)), bytes(layout.data), number(len(layout.pointers))]
        parts += [number(offset, i) for i, (offset, _) in enumerate(layout.pointers)]
        parts += [number(1, self.size, len(places)), *(number(0, place) for place in places)]
        parts.append(number(len(self.case.inputs)))
        parts += [number(i, c.size) + c.tobytes() for i, c in enumerate(self.case.inputs)]
        parts.append(number(len(places) - 1, self.size))
        return b"".join(parts)

    def check(self, found: np.ndarray) -> None:
        start, size = self.output
        words = f"{self.call.kernel} {self.call.fields}"
        np.testing.assert_array_equal(
            found[start : start + size], self.case.expected.ravel(), err_msg=words
        )
        kept = np.ones(self.size, bool)
        for start, size in (*self.inputs, self.output, self.scratch):
            kept[start : start + size] = False
        assert set(found[kept]) == {UNTOUCHED}, words


def check(board: Board, cases: list[layers.Case]) -> None:
    """Every case apart, and over its input as near as the plan may lay it."""
    memories = [Memory(case) for case in cases]
    for case in cases:
        if len(case.inputs) > 1:
            continue
        for distances in case.lowered.work.walks.values():
            for backwards, distance in enumerate(distances):
                if distance != NEVER:
                    distance = max(distance, -case.inputs[0].size - case.expected.size)
                    memories.append(Memory(case, (bool(backwards), distance)))
    found = board.run([m.record() for m in memories], [m.size for m in memories])
    for memory, block in zip(memories, found, strict=True):
        memory.check(block)


class Fit(layers.Layers):
    """Draws what MVE's kernels take: something is shifted out of every product.

    Half of the layers have small sums and shift out few bits: then halves between two codes, which
    are rounded away from zero, are frequent.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.small = rng.random() < 0.5

    def weighted(self, shape: tuple[int, ...], axis: int) -> dict:
        found = super().weighted(shape, axis)
        if self.small:
            found["weight"] = np.sign(found["weight"]) * (self.rng.random(shape) < 0.5)
            found["weight"] = found["weight"].astype(np.int8)
            found["bias"] = self.rng.integers(-200, 200, len(found["bias"]))
        return found

    def out(self, count: int, terms: int) -> g.Output:
        rng = self.rng
        factors = 2 ** rng.uniform(-5, -1.01, count)
        if not self.small:
            factors *= 0.1 / terms**0.5
        pairs = [layers.g_multiplier(float(factor)) for factor in factors]
        multiplier, shift = np.array(pairs, np.int64).T
        if rng.random() < 0.2:
            multiplier = np.where(rng.random(count) < 0.3, 0, multiplier)
        if rng.random() < 0.4:
            return g.Output(multiplier, shift, -128, -128, 127)
        low, high = sorted(int(x) for x in rng.integers(-128, 128, 2))
        low, high = (-128, 127) if rng.random() < 0.7 else (low, high)
        return g.Output(multiplier, shift, int(rng.integers(-128, 128)), low, high)

    def add(self, size: int) -> layers.Case:
        """ADD, of few bits of precision too, so that roundings of the inputs matter."""
        rng = self.rng
        lift = int(rng.choice([1, 2, 3, 20]))
        points = tuple(int(x) for x in rng.integers(-128, 128, 2))
        multipliers = tuple(int(x) for x in rng.integers(2**30, 2**31, 2))
        shifts = tuple(int(x) for x in -rng.integers(0, 4, 2))
        if rng.random() < 0.5:
            multipliers = (2**30, 2**30)
        multiplier = np.array([2**30 if rng.random() < 0.5 else rng.integers(2**30, 2**31)])
        low, high = sorted(int(x) for x in rng.integers(-128, 128, 2))
        low, high = (-128, 127) if rng.random() < 0.7 else (low, high)
        point = int(rng.integers(-128, 128))
        out = g.Output(multiplier, np.array([-lift]), point, low, high)
        layer = g.Add("X 0", (0, 1), 2, points, multipliers, shifts, lift, out)
        return self.case(layer, [(1, size), (1, size)], (1, size))


def batches(case: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(case, min_size=25, max_size=25)


@st.composite
def pixelwise(draw) -> layers.Case:
    drawn = Fit(np.random.default_rng(draw(SEEDS)))
    depth = draw(st.one_of(st.integers(1, 70), st.sampled_from([8, 16, 32, 48, 64, 128])))
    size = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return drawn.conv(size, depth, draw(st.integers(1, 20)), (1, 1), (1, 1), g.Padding())


@st.composite
def dense(draw) -> layers.Case:
    drawn = Fit(np.random.default_rng(draw(SEEDS)))
    return drawn.fully_connected(
        draw(st.integers(1, 6)), draw(st.integers(1, 300)), draw(st.integers(1, 11))
    )


def window(draw, most: tuple[int, int], channels: int):
    """Size, kernel, stride and padding of a layer that has at least one output."""
    kernel = draw(st.just((3, 3)) | st.tuples(*(st.integers(1, extent) for extent in most)))
    around = g.Padding(*(draw(st.integers(0, kernel[i // 2] - 1)) for i in range(4)))
    least = (
        max(1, kernel[0] - around.top - around.bottom),
        max(1, kernel[1] - around.left - around.right),
    )
    size = draw(st.integers(least[0], 9)), draw(st.integers(least[1], 19))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3 if channels else 2))
    return size, kernel, stride, around


@st.composite
def convolution(draw) -> layers.Case:
    drawn = Fit(np.random.default_rng(draw(SEEDS)))
    size, kernel, stride, around = window(draw, (4, 5), 1)
    channels = draw(st.integers(1, 9) | st.sampled_from([3, 16, 20]))
    return drawn.conv(size, channels, draw(st.integers(1, 9)), kernel, stride, around)


@st.composite
def depthwise(draw) -> layers.Case:
    drawn = Fit(np.random.default_rng(draw(SEEDS)))
    size, kernel, stride, around = window(draw, (4, 3), 0)
    return drawn.depthwise(size, draw(st.integers(1, 20)), 1, kernel, stride, around)


@st.composite
def addition(draw) -> layers.Case:
    return Fit(np.random.default_rng(draw(SEEDS))).add(draw(st.integers(1, 90)))


@st.composite
def mean(draw) -> layers.Case:
    drawn = Fit(np.random.default_rng(draw(SEEDS)))
    return drawn.mean((draw(st.integers(1, 7)), draw(st.integers(1, 7))), draw(st.integers(1, 20)))


@pytest.mark.parametrize(
    "case",
    [pixelwise, dense, convolution, depthwise, addition, mean],
    ids=lambda case: case.__name__,
)
def test_kernels_equal_the_reference(board, case):
    # a failure names its layer; to shrink hundreds of layers takes minutes
    @settings(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @given(batches(case()))
    def every(cases):
        fit = [one for one in cases if one.lowered.calls[0].mve is not None]
        assert 2 * len(fit) > len(cases)
        check(board, fit)

    every()


def counted(folder: Path, data: bytes, *flags: str):
    """What the program of a model costs on the board; its outputs are right."""
    made = program(data, "net")
    emit.write(made, folder / "c")
    golden = made.golden(3)
    firmware = qemu.build(folder / "c", qemu.board(BOARD), folder / "build", flags=flags)
    found = qemu.run(firmware, golden.inputs[0])
    np.testing.assert_array_equal(found.outputs, golden.outputs[0])
    return made, firmware, found


def test_the_tiny_model_runs_on_mve_alone_and_only_its_constants_are_in_flash(tmp_path):
    made, firmware, found = counted(tmp_path, TINY.read_bytes())
    heavy = {name for name, count in found.functions.items() if count > found.instructions / 50}
    assert all("mve" in name for name in heavy), heavy
    assert found.stack <= 1024
    assert firmware.flash < made.constant_bytes + 10_000
    (tmp_path / "portable").mkdir()
    _, _, portable = counted(tmp_path / "portable", TINY.read_bytes(), "-DNET_EN_PORTABLE")
    assert not any("mve" in name for name in portable.functions)
    assert portable.instructions > 3 * found.instructions


@pytest.mark.slow
def test_a_residual_network_costs_what_was_promised(tmp_path):
    made, firmware, found = counted(tmp_path, resnet8())
    assert found.instructions <= 4_200_000
    assert made.plan.size <= 55_000
    assert found.stack <= 1024
    assert firmware.flash < made.constant_bytes + 12_000


def test_layers_that_mve_does_not_compute_exactly_keep_the_common_kernel():
    drawn = Fit(np.random.default_rng(0))
    for changed in (0, 3):  # nothing shifted, shifted to the left
        drawn.out = lambda count, terms, shift=changed: g.Output(
            np.full(count, 2**30), np.full(count, shift), 0
        )
        around = g.Padding(1, 1, 1, 1)
        for case in (
            drawn.conv((3, 3), 8, 8, (1, 1), (1, 1), g.Padding()),
            drawn.conv((4, 4), 8, 8, (3, 3), (1, 1), around),
            drawn.depthwise((4, 4), 8, 1, (3, 3), (1, 1), around),
        ):
            assert case.lowered.calls[0].mve is None
    drawn = Fit(np.random.default_rng(0))
    for kernel, stride, multiplier in (
        ((5, 3), 1, 1),
        ((3, 4), 1, 1),
        ((3, 3), 3, 1),
        ((3, 3), 1, 2),
    ):
        case = drawn.depthwise((6, 6), 4, multiplier, kernel, (stride, stride), g.Padding())
        assert case.lowered.calls[0].mve is None
    wide = drawn.depthwise((3, 2400), 1, 1, (3, 3), (1, 1), g.Padding())
    assert wide.lowered.calls[0].mve is None
