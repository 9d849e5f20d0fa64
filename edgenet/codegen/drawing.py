"""The arena over the layers as one SVG: what lies where, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from edgenet.codegen.plan import Region, Step
from edgenet.codegen.program import Program
from edgenet.codegen.rows import Rows
from edgenet.int8 import graph as g
from edgenet.int8.graph import Graph, Layer

_LEFT, _TOP, _HEIGHT, _RIGHT, _BOTTOM = 88, 64, 380, 24, 136
"""Pixels around the plot, and its height."""
_LINE, _LETTER = 13, 6.6
"""Pixels of a label: its height, and a letter's width."""

_STYLE = """
text{font:11px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:14px;font-weight:600}.small{font-size:10px;fill:#59636e}
.paper{fill:#fff}.grid{stroke:#e4e8ec}.axis{stroke:#8b949e}
.top{stroke:#cf222e;stroke-dasharray:5 4}.red{fill:#cf222e;font-weight:600}
.chain{fill:#f4eefb}.area{stroke:#fff;stroke-width:1}
.a{fill:#a5c8f7}.b{fill:#a8dcd1}.port{fill:#f7cf8d}.scratch{fill:#cdd3da}.rows{fill:#cdb2ee}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.small{fill:#9198a1}.paper{fill:#0d1117}.grid{stroke:#21262d}
.axis{stroke:#6e7681}.top{stroke:#ff7b72}.red{fill:#ff7b72}.chain{fill:#1b1526}
.area{stroke:#0d1117}.a{fill:#2f5d9e}.b{fill:#256b60}.port{fill:#8a5f17}.scratch{fill:#484f58}
.rows{fill:#6a45a0}}
"""
_LEGEND = (
    ("port", "input and output"),
    ("a", "values between layers"),
    ("rows", "row by row: windows of values that are never whole"),
    ("scratch", "scratch"),
)


@dataclass(slots=True)
class _Area:
    """Bytes in use over columns, one for each layer, or layer of a chain.

    Attributes:
        region: what and where.
        kind: class of its style.
        start: the first column.
        end: the column behind the last.
        born: columns over which it grows over an input, and whether from its lower end.
        dies: columns over which an output grows over it, and whether that starts at its lower end.
    """

    region: Region
    kind: str
    start: int
    end: int
    born: tuple[int, bool] | None = None
    dies: tuple[int, bool] | None = None

    def sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Columns of the left side and of the right one, each at the lower end and the upper."""
        left, right = (self.start, self.start), (self.end, self.end)
        if self.born:
            columns, upwards = self.born
            late = self.start + columns
            left = (self.start, late) if upwards else (late, self.start)
        if self.dies:
            columns, upwards = self.dies
            early = self.end - columns
            right = (early, self.end) if upwards else (self.end, early)
        return left, right

    def between(self, low: float, high: float) -> tuple[float, float]:
        """Columns inside at all heights between two, from 0, the lower end, to 1, the upper."""
        (low_left, high_left), (low_right, high_right) = self.sides()
        heights = (low, high)
        left = max(low_left + (high_left - low_left) * part for part in heights)
        right = min(low_right + (high_right - low_right) * part for part in heights)
        return left, right


def arena_svg(program: Program) -> str:
    """The drawing; the same program gives the same text."""
    return _Drawing(program).text()


class _Drawing:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._size = max(program.plan.size, 1)
        self._columns = [0]  # where each step starts, and the end
        for layer in program.layers:
            self._columns.append(self._columns[-1] + layer.work.slots)
        self._count = max(self._columns[-1], 1)
        self._column = max(15, min(44, 1000 // self._count))
        self._width = self._column * self._count

    def text(self) -> str:
        width, height = _LEFT + self._width + _RIGHT, _TOP + _HEIGHT + _BOTTOM
        width = max(width, 720)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img">',
            f"<title>{escape(self._title())}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{width}" height="{height}" rx="6"/>',
            f'<text class="title" x="{_LEFT}" y="22">{escape(self._title())}</text>',
            *self._legend(),
            *self._chains(),
            *self._grid(),
            *(self._shape(area) for area in self._areas()),
            *(line for area in self._areas() for line in self._label(area)),
            *self._names(),
            *self._peak(),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _title(self) -> str:
        return f"{self._program.name}: {self._program.plan.size:,} bytes of SRAM, layer by layer"

    def _legend(self) -> Iterator[str]:
        x = _LEFT
        chained = any(isinstance(layer, Rows) for layer in self._program.layers)
        for kind, words in _LEGEND:
            if kind == "rows" and not chained:
                continue
            yield f'<rect class="{kind}" x="{x}" y="33" width="11" height="11" rx="2"/>'
            if kind == "a":
                yield f'<rect class="b" x="{x + 13}" y="33" width="11" height="11" rx="2"/>'
                x += 13
            yield f'<text class="small" x="{x + 16}" y="42">{words}</text>'
            x += 36 + round(5.1 * len(words))

    def _chains(self) -> Iterator[str]:
        """A tint behind layers that run row by row, and a bar under them."""
        for number, layer in enumerate(self._program.layers):
            if isinstance(layer, Rows):
                x, end = self._x(self._columns[number]), self._x(self._columns[number + 1])
                wide, y = end - x, _TOP + _HEIGHT + 3
                yield f'<rect class="chain" x="{x}" y="{_TOP}" width="{wide}" height="{_HEIGHT}"/>'
                yield f'<rect class="rows" x="{x + 1}" y="{y}" width="{wide - 2}" height="3"/>'

    def _grid(self) -> Iterator[str]:
        right = _LEFT + self._width
        for value in _ticks(self._size):
            y = self._y(value)
            kind = "grid" if value else "axis"
            yield f'<line class="{kind}" x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}"/>'
            yield (
                f'<text class="small" x="{_LEFT - 8}" y="{y + 3.5}" text-anchor="end">'
                f"{value:,}</text>"
            )

    def _peak(self) -> Iterator[str]:
        right, y = _LEFT + self._width, self._y(self._size)
        yield f'<line class="top" x1="{_LEFT}" y1="{y}" x2="{right}" y2="{y}"/>'
        yield f'<text class="red" x="{right}" y="{y - 5}" text-anchor="end">{self._size:,}</text>'
        yield f'<text class="small" x="{_LEFT - 8}" y="{y + 3.5}" text-anchor="end">bytes</text>'

    def _names(self) -> Iterator[str]:
        """Layers and the shapes of what they give, below their columns."""
        y = _TOP + _HEIGHT + 17
        for column, layer in enumerate(self._single()):
            x = self._x(column) + self._column / 2 + 4
            shape = "x".join(map(str, self._program.graph.values[layer.output].shape[1:]))
            yield (
                f'<text x="{x}" y="{y}" text-anchor="end" transform="rotate(-55 {x} {y})">'
                f'{short(layer)} <tspan class="small" dx="3">{shape}</tspan></text>'
            )

    def _single(self) -> Iterator[Layer]:
        for layer in self._program.layers:
            if isinstance(layer, Rows):
                yield from (stage.lowered.layer for stage in layer.stages)
            else:
                yield layer.layer

    def _areas(self) -> list[_Area]:
        """Values, each over all the columns in which it is in use, then what layers own."""
        program, values, own = self._program, dict[int, _Area](), []
        ports = {port.value for port in (*program.graph.inputs, *program.graph.outputs)}
        for number, (layer, step) in enumerate(
            zip(program.layers, program.plan.steps, strict=True)
        ):
            start, end = self._columns[number], self._columns[number + 1]
            parts = {part.name: part for part in layer.work.parts}
            for region in step.regions:
                if region.value is None:
                    part = parts.get(region.name)
                    span = (start + part.first, start + part.last + 1) if part else (start, end)
                    kind = "rows" if part and "row" in part.name.split(" for ")[0] else "scratch"
                    own.append(_Area(region, kind, *span))
                    continue
                kind = "port" if region.value in ports else "ab"[len(values) % 2]
                area = values.setdefault(region.value, _Area(region, kind, start, end))
                area.end = end
            if step.in_place:
                _cross(values, layer.layer, step, end - start)
        return [*values.values(), *own]

    def _shape(self, area: _Area) -> str:
        low, high = area.region.address, area.region.end
        (low_left, high_left), (low_right, high_right) = area.sides()
        corners = [(low_left, low), (high_left, high), (high_right, high), (low_right, low)]
        points = " ".join(f"{self._x(x):g},{self._y(y):g}" for x, y in corners)
        words = f"{area.region.name}: {area.region.size:,} bytes at {low:,}"
        return (
            f'<polygon class="area {area.kind}" points="{points}">'
            f"<title>{escape(words)}</title></polygon>"
        )

    def _label(self, area: _Area) -> Iterator[str]:
        """Its shape, where there is room."""
        words = _words(area, self._program.graph)
        height = area.region.size * _HEIGHT / self._size
        left, right = area.between(
            max(0.0, 0.5 - _LINE / 2 / height), min(1.0, 0.5 + _LINE / 2 / height)
        )
        if (right - left) * self._column < _LETTER * len(words) + 4 or height < _LINE:
            return
        x = self._x((left + right) / 2)
        y = self._y(area.region.address + area.region.size / 2) + 4
        yield f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{escape(words)}</text>'

    def _x(self, column: float) -> float:
        return _LEFT + column * self._column

    def _y(self, address: float) -> float:
        return round(_TOP + _HEIGHT - address * _HEIGHT / self._size, 1)


def _cross(values: dict[int, _Area], layer: Layer, step: Step, columns: int) -> None:
    """The output takes the place of the input that it overlaps as the layer goes on."""
    upwards = step.direction == "forward"
    result = values[layer.output]
    for index in layer.inputs:
        source = values[index].region
        if source.address < result.region.end and result.region.address < source.end:
            result.born = columns, upwards
            values[index].dies = columns, upwards


def _words(area: _Area, graph: Graph) -> str:
    if area.region.value is None:
        return "scratch" if area.kind == "scratch" else area.region.name.split(" for ")[0]
    shape = graph.values[area.region.value].shape[1:]
    return "x".join(map(str, shape))


def _ticks(size: int) -> Sequence[int]:
    """Round numbers of bytes, about five of them, below the top."""
    step = 1
    while size / step > 6:
        step = step * 2 if str(step)[0] in "15" else step * 5 // 2
    return range(0, size - step // 3, step)


def short(layer: Layer) -> str:
    """A layer in a word or two: ``dw 3x3 /2``."""
    stride = layer.stride[0] if isinstance(layer, g.Conv | g.Depthwise | g.Pool) else 1
    behind = f" /{stride}" if stride > 1 else ""
    if isinstance(layer, g.Conv):
        rows, columns = layer.weight.shape[1:3]
        kind = "" if (rows, columns) == (1, 1) else "conv "
        return f"{kind}{rows}x{columns}{behind}"
    if isinstance(layer, g.Depthwise):
        return f"dw {layer.weight.shape[0]}x{layer.weight.shape[1]}{behind}"
    if isinstance(layer, g.Pool):
        return f"{layer.kind} {layer.window[0]}x{layer.window[1]}{behind}"
    return {g.FullyConnected: "dense", g.Concatenation: "concat"}.get(
        type(layer), type(layer).__name__.lower()
    )
