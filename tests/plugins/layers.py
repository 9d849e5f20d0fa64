"""Single layers of any shape, and the program that calls the kernels in C on them (driver.c)."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from toolchains import Toolchain

from edgenet.codegen.call import Call, Constant, Lowered
from edgenet.codegen.calls import lower
from edgenet.int8 import graph as g
from edgenet.int8 import kernels

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "edgenet" / "codegen" / "c"
DRIVER = ROOT / "tests" / "codegen" / "driver.c"
ORDER = (
    "en_add_s8", "en_conv_1x1_s8", "en_conv_s8", "en_copy_s8", "en_depthwise_s8", "en_mean_s8",
    "en_pad_s8", "en_pool_average_s8", "en_pool_max_s8", "en_softmax_s8", "en_table_s8",
    "en_add_mve_s8", "en_conv_1x1_mve_s8", "en_conv_mve_s8", "en_depthwise_mve_s8",
    "en_mean_mve_s8",
)  # fmt: skip
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class Case:
    """One layer, its codes, and what they become."""

    lowered: Lowered
    inputs: list[np.ndarray]
    expected: np.ndarray


class Layers:
    """Draws layers of given shapes, with random numbers.

    Args:
        rng: what is drawn from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def case(self, layer: g.Layer, shapes: list[tuple[int, ...]], shape: tuple[int, ...]) -> Case:
        values = {i: g.Value(i, f"v{i}", s, 0.1, 0, "int8") for i, s in enumerate([*shapes, shape])}
        graph = g.Graph("one", values, (layer,), (), ())
        inputs = [self.codes(s) for s in shapes]
        expected = kernels.run(layer, [codes[np.newaxis] for codes in inputs], shape)[0]
        lowered = lower(layer, graph)
        if lowered.more and self.rng.random() < 0.5:
            lowered = lowered.with_more()
        return Case(lowered, inputs, expected)

    def codes(self, shape: tuple[int, ...]) -> np.ndarray:
        """Noise, or noise of extremes."""
        if self.rng.random() < 0.3:
            return self.rng.choice([-128, 127], shape).astype(np.int8)
        return self.rng.integers(-128, 128, shape).astype(np.int8)

    def out(self, count: int, terms: int) -> g.Output:
        """Factors that spread sums over the codes; some shift to the left, or by nothing."""
        rng = self.rng
        kind = rng.integers(4)
        reach = {0: 40.0, 1: 0.6, 2: 0.01}.get(int(kind), 40.0)
        base = reach / (terms**0.5 * (5000 if kind else 20))
        factors = base * rng.uniform(0.3, 3, count)
        if rng.random() < 0.4:  # halves between two codes are frequent
            factors = 2 ** np.round(np.log2(factors))
        pairs = [g_multiplier(float(factor)) for factor in factors]
        multiplier, shift = np.array(pairs, np.int64).T
        if rng.random() < 0.1:  # what scales that are far apart come to
            multiplier[0], shift[0] = 0, 0
        return self.coded(multiplier, shift)

    def coded(self, multiplier: np.ndarray, shift: np.ndarray) -> g.Output:
        """Codes as after a ReLU, all codes with any zero point, or some codes only."""
        rng = self.rng
        if rng.random() < 0.5:
            return g.Output(multiplier, shift, -128, -128, 127)
        low, high = sorted(int(x) for x in rng.integers(-128, 128, 2))
        low, high = (-128, 127) if rng.random() < 0.5 else (low, high)
        return g.Output(multiplier, shift, int(rng.integers(-128, 128)), low, high)

    def weighted(self, shape: tuple[int, ...], axis: int) -> dict:
        rng = self.rng
        count = shape[axis]
        terms = int(np.prod(shape)) // count
        return {
            "name": "X 0",
            "inputs": (0,),
            "output": 1,
            "weight": rng.integers(-127, 128, shape).astype(np.int8),
            "weight_zero_point": 0,
            "bias": rng.integers(-50000, 50000, count).astype(np.int64),
            "input_zero_point": int(rng.integers(-128, 128)),
            "out": self.out(count, terms),
        }

    def conv(self, size, channels, count, kernel, stride, padding) -> Case:
        layer = g.Conv(
            **self.weighted((count, *kernel, channels), 0), stride=stride, padding=padding
        )
        rows, columns = sizes(size, kernel, stride, padding)
        return self.case(layer, [(1, *size, channels)], (1, rows, columns, count))

    def depthwise(self, size, channels, multiplier, kernel, stride, padding) -> Case:
        layer = g.Depthwise(
            **self.weighted((*kernel, channels * multiplier), 2),
            stride=stride,
            padding=padding,
            depth_multiplier=multiplier,
        )
        rows, columns = sizes(size, kernel, stride, padding)
        return self.case(layer, [(1, *size, channels)], (1, rows, columns, channels * multiplier))

    def fully_connected(self, rows, terms, count) -> Case:
        layer = g.FullyConnected(**self.weighted((count, terms), 0))
        return self.case(layer, [(rows, terms)], (rows, count))

    def pool(self, kind, size, channels, window, stride, padding) -> Case:
        low, high = sorted(int(x) for x in self.rng.integers(-128, 128, 2))
        offset = 128 if kind == "average" and self.rng.random() < 0.5 else 0
        layer = g.Pool("X 0", (0,), 1, kind, window, stride, padding, low, high, offset)
        rows, columns = sizes(size, window, stride, padding)
        return self.case(layer, [(1, *size, channels)], (1, rows, columns, channels))

    def mean(self, size, channels) -> Case:
        out = self.out(1, size[0] * size[1])
        layer = g.Mean("X 0", (0,), 1, (1, 2), False, size[0] * size[1], -7, out)
        return self.case(layer, [(1, *size, channels)], (1, channels))

    def add(self, size) -> Case:
        rng = self.rng
        even = rng.random() < 0.5  # halves between two codes are frequent
        factors = rng.permutation([0.5, 0.25 if even else rng.uniform(0.001, 0.5)])
        parts = [g_multiplier(float(factor)) for factor in factors]
        points = tuple(int(x) for x in rng.integers(-128, 128, 2))
        bits = 20 if rng.random() < 0.8 else int(rng.integers(0, 30))
        multiplier, shift = g_multiplier(float((1 if even else rng.uniform(0.3, 3)) / 2**bits))
        out = self.coded(np.array([multiplier]), np.array([shift]))
        layer = g.Add(
            "X 0", (0, 1), 2, points, (parts[0][0], parts[1][0]), (parts[0][1], parts[1][1]), 20,
            out,
        )  # fmt: skip
        return self.case(layer, [(1, size), (1, size)], (1, size))

    def pad(self, size, channels, padding) -> Case:
        layer = g.Pad("X 0", (0,), 1, padding, int(self.rng.integers(-128, 128)))
        rows, columns = size[0] + padding.top + padding.bottom, size[1] + padding.left
        shape = (1, rows, columns + padding.right, channels)
        return self.case(layer, [(1, *size, channels)], shape)

    def softmax(self, rows, depth) -> Case:
        factor = float(self.rng.uniform(0.01, 0.3)) * 2**26
        multiplier, shift = g_multiplier(factor)
        layer = g.Softmax("X 0", (0,), 1, multiplier, shift, -int(31 * 2**26 / 2**shift))
        return self.case(layer, [(rows, depth)], (rows, depth))

    def rescale(self, size) -> Case:
        layer = g.Rescale("X 0", (0,), 1, int(self.rng.integers(-128, 128)), self.out(1, 1))
        return self.case(layer, [(1, size)], (1, size))


def g_multiplier(factor: float) -> tuple[int, int]:
    from edgenet.int8.fixed_point import quantize_multiplier

    return quantize_multiplier(factor)


def sizes(size, kernel, stride, padding) -> tuple[int, int]:
    return (
        (size[0] + padding.top + padding.bottom - kernel[0]) // stride[0] + 1,
        (size[1] + padding.left + padding.right - kernel[1]) // stride[1] + 1,
    )


def random_case(rng: np.random.Generator) -> Case:
    """A layer of any kind and a small shape."""
    draw = Layers(rng)
    some = lambda low, high: int(rng.integers(low, high + 1))  # noqa: E731
    kernel = some(1, 4), some(1, 4)
    if rng.random() < 0.5:
        kernel = 3, 3
    stride = some(1, 3), some(1, 3)
    padding = g.Padding(*(some(0, min(kernel) - 1) for _ in range(4)))
    size = some(4, 11), some(4, 11)
    kind = rng.integers(11)
    if kind <= 1:
        return draw.depthwise(size, some(1, 9), some(1, 2), kernel, stride, padding)
    if kind <= 3:
        return draw.conv(size, some(1, 9), some(1, 9), kernel, stride, padding)
    if kind <= 5:
        one = (1, 1)
        channels, count = some(1, 40), some(1, 12)
        return draw.conv((some(1, 6), some(1, 6)), channels, count, one, one, g.Padding())
    rest = {
        6: lambda: draw.fully_connected(some(1, 6), some(1, 70), some(1, 9)),
        7: lambda: draw.pool(
            "max" if rng.random() < 0.5 else "average", size, some(1, 5), kernel, stride, padding
        ),
        8: lambda: draw.mean(size, some(1, 9)),
        9: lambda: draw.add(some(1, 50) + 2048 * some(0, 1)),
        10: lambda: draw.softmax(some(1, 3), some(1, 300)),
    }
    return rest[int(kind)]()


class Layout:
    """A struct's bytes as compilers lay it out, and where its pointers are.

    Args:
        pointer: bytes of a pointer.
    """

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        self.data = bytearray()
        self.pointers: list[tuple[int, Constant]] = []

    def add(self, fields) -> int:
        """Append a struct; its alignment."""
        alignment = self.alignment(fields)
        self._align(alignment)
        for field in fields.values():
            if isinstance(field, Constant):
                self._align(self.pointer)
                self.pointers.append((len(self.data), field))
                self.data += bytes(self.pointer)
            elif isinstance(field, dict):
                self.add(field)
            else:
                values = field if isinstance(field, tuple) else (field,)
                self.data += struct.pack(f"<{len(values)}i", *values)
        self._align(alignment)
        return alignment

    def alignment(self, fields) -> int:
        found = [
            self.pointer if isinstance(f, Constant) else self.alignment(f)
            for f in fields.values()
            if isinstance(f, Constant | dict)
        ]
        return max(found, default=4)

    def _align(self, alignment: int) -> None:
        self.data += bytes(-len(self.data) % alignment)


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def record(
    case: Case, call: Call, *, pointer: int, over: tuple[bool, int] | None = None, shift: int = 0
) -> bytes:
    """A call for the driver: buffers apart, or the output over the input.

    Args:
        case: the layer.
        call: its only one.
        pointer: bytes of a pointer there.
        over: backwards or not, and the distance that a plan would keep.
        shift: bytes by which the scratch lies beside what is meant for it.
    """
    fields = dict(call.fields)
    if over and "backwards" in fields:
        fields["backwards"] = int(over[0])
    layout = Layout(pointer)
    layout.add(fields)
    constants = [constant.values.tobytes() for _, constant in layout.pointers]
    lengths = [codes.size for codes in case.inputs]
    size = case.expected.size
    if over is None:
        buffers = [*lengths, size]
        places = [(i, 0) for i in range(len(buffers))]
    else:
        start, end = _over(lengths[0], size, *over)
        buffers = [max(start + lengths[0], end + size)]
        places = [(0, start), (0, end)]
    if call.scratch:
        buffers.append(max(case.lowered.work.scratch, 1))
        places.append((len(buffers) - 1, shift % 2**32))
    parts = [numbers(ORDER.index(call.kernel), len(constants))]
    parts += [numbers(len(c)) + c for c in constants]
    parts += [numbers(len(layout.data)), bytes(layout.data), numbers(len(layout.pointers))]
    parts += [numbers(offset, i) for i, (offset, _) in enumerate(layout.pointers)]
    parts += [numbers(len(buffers), *buffers), numbers(len(places))]
    parts += [numbers(*place) for place in places]
    parts.append(numbers(len(lengths)))
    parts += [numbers(i, c.size) + c.tobytes() for i, c in enumerate(case.inputs)]
    parts.append(numbers(len(lengths), size))
    return b"".join(parts)


def _over(length: int, size: int, backwards: bool, distance: int) -> tuple[int, int]:
    """Offsets of input and output that keep a distance and are not negative."""
    start = length - size + distance if not backwards else 0
    if not backwards:
        start, end = distance, 0
    else:
        start, end = 0, length + distance - size
    least = min(start, end, 0)
    return start - least, end - least


class Driver:
    """The driver as a program of its own, kept running.

    Args:
        folder: where it is built.
        toolchain: that builds and runs it.
    """

    def __init__(self, folder: Path, toolchain: Toolchain) -> None:
        self.pointer = toolchain.pointer
        program = folder / "driver"
        files = [DRIVER, *sorted(SOURCES.glob("*.c"))]
        toolchain.build([*STRICT, f"-I{SOURCES}", *files], program)
        self._process = subprocess.Popen(
            [*toolchain.command(program), "/dev/stdin", "/dev/stdout"], env=toolchain.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, given: bytes, size: int) -> np.ndarray:
        self._process.stdin.write(given)
        self._process.stdin.flush()
        found = self._process.stdout.read(size)
        if len(found) != size:
            raise AssertionError(self._process.stderr.read().decode()[:3000])
        return np.frombuffer(found, np.int8)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()
