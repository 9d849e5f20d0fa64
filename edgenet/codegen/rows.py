"""Chains of layers that run row by row: what lies between two of them is never whole.

Each layer has a window, the rows of its input that one row of its output covers, and makes its rows
when the next layer asks for them; none is computed twice.  ``c/en_rows_s8.c`` runs a chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgenet.codegen.call import Lowered
from edgenet.codegen.calls import lower
from edgenet.codegen.plan import NEVER, Part, Work
from edgenet.int8 import graph as g
from edgenet.int8.graph import Graph, Layer

MOST = 9
"""Layers in a chain, EN_ROWS_MOST in C."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One layer of a chain.

    Attributes:
        lowered: the layer as it makes one row of its output from a window, vertical padding in it.
        kernel_rows: of the window.
        stride: rows that the window moves by.
        pad_top: rows of padding above the map.
        padded: whether there is padding above or below.
        code: what padding holds.
        in_rows: of the whole input.
        out_rows: of the whole output.
        row_bytes: of a row of the input.
        out_bytes: of a row of the output.
        columns: of the output.
    """

    lowered: Lowered
    kernel_rows: int
    stride: int
    pad_top: int
    padded: bool
    code: int
    in_rows: int
    out_rows: int
    row_bytes: int
    out_bytes: int
    columns: int

    @property
    def overhead(self) -> int:
        """Instructions that rows cost beyond the whole map, by rule of thumb for the DSP flavour.

        A call a row, windows that move, rows that a depthwise layer lays out again, and pixels that
        are no four.
        """
        moved = max(self.kernel_rows - self.stride, 0) * self.row_bytes
        again = moved if isinstance(self.lowered.layer, g.Depthwise) else 0
        single = self.lowered.macs * (self.columns % 4) // max(self.columns, 1)
        return self.out_rows * (300 + 3 * moved // 4 + 5 * again // 2 + single)


@dataclass(frozen=True, slots=True, eq=False)
class Rows(Lowered):
    """A chain as one layer of a program.

    Attributes:
        stages: its layers.
        windows: for each the part of ``work`` that its window is, None for a first layer without
            vertical padding, which reads the chain's input where it lies.
        scratches: for each the part of ``work`` that is its scratch, None if it needs none.
    """

    stages: tuple[Stage, ...] = ()
    windows: tuple[int | None, ...] = ()
    scratches: tuple[int | None, ...] = ()

    def with_more(self) -> Rows:
        """The same with the scratch that makes layers faster, where a layer has a use for it."""
        stages = [
            replace(stage, lowered=stage.lowered.with_more()) if stage.lowered.more else stage
            for stage in self.stages
        ]
        return chain(stages)

    @property
    def overhead(self) -> int:
        """See ``Stage.overhead``."""
        return sum(stage.overhead for stage in self.stages)


def stage(layer: Layer, graph: Graph) -> Stage | None:
    """A layer as one of a chain; None if it does not work row by row."""
    shape = graph.values[layer.inputs[0]].shape
    window = _window(layer)
    if window is None or len(shape) != 4:
        return None
    kernel, stride, padding, code, channels = window
    rows, columns = (
        (size + before + after - extent) // step + 1
        for size, before, after, extent, step in (
            (shape[1], padding.top, padding.bottom, kernel[0], stride[0]),
            (shape[2], padding.left, padding.right, kernel[1], stride[1]),
        )
    )
    padded = bool(padding.top or padding.bottom)
    if padded and isinstance(layer, g.Pool):  # whose padding counts for nothing
        return None
    channels = channels or shape[3]
    return Stage(
        lowered=_one_row(layer, graph, kernel[0], (1, 1, columns, channels)),
        kernel_rows=kernel[0],
        stride=stride[0],
        pad_top=padding.top,
        padded=padded,
        code=code,
        in_rows=shape[1],
        out_rows=rows,
        row_bytes=shape[2] * shape[3],
        out_bytes=columns * channels,
        columns=columns,
    )


_Window = tuple[tuple[int, int], tuple[int, int], g.Padding, int, int]


def _window(layer: Layer) -> _Window | None:
    """Kernel, stride, padding and its code, and output channels, 0 for those of the input."""
    if isinstance(layer, g.Conv):
        rows, columns = layer.weight.shape[1:3]
        return (rows, columns), layer.stride, layer.padding, layer.input_zero_point, layer.outputs
    if isinstance(layer, g.Depthwise):
        rows, columns = layer.weight.shape[:2]
        return (rows, columns), layer.stride, layer.padding, layer.input_zero_point, layer.outputs
    if isinstance(layer, g.Pool):
        return layer.window, layer.stride, layer.padding, 0, 0
    if isinstance(layer, g.Rescale | g.Clamp):
        return (1, 1), (1, 1), g.Padding(), 0, 0
    return None


def _one_row(layer: Layer, graph: Graph, kernel_rows: int, out: tuple[int, ...]) -> Lowered:
    """The layer on a window as on a map of so many rows, without vertical padding."""
    (source,) = layer.inputs
    shape = graph.values[source].shape
    values = {
        source: replace(graph.values[source], shape=(1, kernel_rows, *shape[2:])),
        layer.output: replace(graph.values[layer.output], shape=out),
    }
    if isinstance(layer, g.Conv | g.Depthwise | g.Pool):
        layer = replace(layer, padding=replace(layer.padding, top=0, bottom=0))
    return lower(layer, Graph(graph.name, values, (layer,), (), ()))


def follows(stages: Mapping[int, Stage], number: int, graph: Graph) -> bool:
    """Whether a layer may be in one chain with the layer before it.

    Args:
        stages: of the layers that have one, by the layer's number.
        number: of the layer, from 1.
        graph: of both.
    """
    if number not in stages or number - 1 not in stages:
        return False
    before, layer = graph.layers[number - 1], graph.layers[number]
    readers = sum(each.inputs.count(before.output) for each in graph.layers)
    is_output = any(port.value == before.output for port in graph.outputs)
    made, read = stages[number - 1], stages[number]
    same_rows = (made.out_rows, made.out_bytes) == (read.in_rows, read.row_bytes)
    return layer.inputs == (before.output,) and readers == 1 and not is_output and same_rows


def chain(stages: Sequence[Stage]) -> Rows:
    """Layers, each reading the one before, as one."""
    windows, scratches, ahead = _distances(stages)
    last = len(stages) - 1
    parts: list[Part] = []

    def part(name: str, size: int, live: tuple[int, int], before: int) -> int | None:
        if not size:
            return None
        parts.append(Part(name, size, *live, before))
        return len(parts) - 1

    places: list[int | None] = []
    own: list[int | None] = []
    for number, each in enumerate(stages):
        name = each.lowered.layer.name
        # a single row is read as soon as it is made
        live = (number - 1, number) if each.kernel_rows == 1 and number else (0, last)
        size = 0 if _direct(stages, number) else each.kernel_rows * each.row_bytes
        rows = "row" if each.kernel_rows == 1 else f"{each.kernel_rows} rows"
        places.append(part(f"{rows} for {name}", size, live, windows[number]))
        scratch = each.lowered.work.scratch
        own.append(part(f"scratch of {name}", scratch, (number, number), scratches[number]))
    first, final = stages[0].lowered.layer, stages[-1].lowered.layer
    walks = {first.inputs[0]: (ahead, NEVER)}
    return Rows(
        layer=Layer(f"{first.name} to {final.name}", first.inputs, final.output),
        calls=tuple(each.lowered.calls[0] for each in stages),
        work=Work(walks=walks, slots=len(stages), parts=tuple(parts)),
        macs=sum(each.lowered.macs * each.out_rows for each in stages),
        more=max(each.lowered.more for each in stages),
        stages=tuple(stages),
        windows=tuple(places),
        scratches=tuple(own),
    )


def _direct(stages: Sequence[Stage], number: int) -> bool:
    """Whether a layer needs no window, since the whole map that it reads is there."""
    return number == 0 and not stages[0].padded


def _distances(stages: Sequence[Stage]) -> tuple[list[int], list[int], int]:
    """How many bytes before the chain's input each window, each scratch and the output start.

    At least so many: then nothing is written over rows of the input that are still to be read.  The
    loop is that of en_rows_s8.c.
    """
    last = len(stages) - 1
    held, made = [each.pad_top for each in stages], [0] * len(stages)
    windows, scratches, ahead = [-NEVER] * len(stages), [-NEVER] * len(stages), -NEVER
    direct, taken, number = _direct(stages, 0), 0, last

    def write(index: int) -> None:
        end = (max(held[index], 0) + 1) * stages[index].row_bytes
        windows[index] = max(windows[index], end - free)
        held[index] += 1

    while made[last] < stages[last].out_rows:
        each = stages[number]
        free = (made[0] * stages[0].stride if direct else taken) * stages[0].row_bytes
        if held[number] >= each.kernel_rows or (direct and number == 0):
            scratches[number] = max(scratches[number], each.lowered.work.scratch - free)
            if number < last:
                write(number + 1)
            else:
                ahead = max(ahead, (made[last] + 1) * each.out_bytes - free)
            made[number] += 1
            held[number] -= 0 if direct and number == 0 else each.stride
            number = min(number + 1, last)
        elif number == 0 or made[number - 1] == stages[number - 1].out_rows:
            write(number)
            taken += number == 0 and taken < each.in_rows
        else:
            number -= 1
    return windows, scratches, ahead
