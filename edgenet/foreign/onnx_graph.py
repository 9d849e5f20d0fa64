"""An ONNX file's graph: its ends with their sizes, and its nodes.

The numbers of fields are those of onnx.proto3 in github.com/onnx/onnx.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgenet.foreign.protobuf import Field, Malformed, fields

Size = int | str
"""Of a dimension; a name where it is not fixed."""

_FLOAT, _UINT8, _INT8 = 1, 2, 3
_NUMPY = {_FLOAT: "<f4", _UINT8: "u1", _INT8: "i1"}


@dataclass(frozen=True, slots=True)
class Node:
    """One operator."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """What a classifier's graph is judged by.

    Attributes:
        nodes: in the order of execution.
        inputs: sizes by name, without the constants that old files list among them.
        outputs: sizes by name.
        scalars: the value of each constant that has one value.
        external: whether weights lie in another file.
    """

    nodes: tuple[Node, ...]
    inputs: Mapping[str, tuple[Size, ...]]
    outputs: Mapping[str, tuple[Size, ...]]
    scalars: Mapping[str, float]
    external: bool

    def producer(self, tensor: str) -> Node | None:
        """The node that makes a tensor; None for an input."""
        return next((node for node in self.nodes if tensor in node.outputs), None)

    def consumers(self, tensor: str) -> list[Node]:
        return [node for node in self.nodes if tensor in node.inputs]


def read(data: bytes) -> Graph:
    """Read a ModelProto.

    Raises:
        Malformed: the bytes are no ONNX model.
    """
    graph = _one(memoryview(data), 7)
    if graph is None:
        raise Malformed("it holds no graph")
    constants = [_constant(part) for part in _all(graph, 5)]
    names = {name for name, _, _ in constants}
    inputs = dict(_end(part) for part in _all(graph, 11))
    return Graph(
        nodes=tuple(_node(part) for part in _all(graph, 1)),
        inputs={name: sizes for name, sizes in inputs.items() if name not in names},
        outputs=dict(_end(part) for part in _all(graph, 12)),
        scalars={name: value for name, value, _ in constants if value is not None},
        external=any(external for _, _, external in constants),
    )


def _node(data: memoryview) -> Node:
    inputs, outputs, operator = [], [], ""
    for number, value in fields(data):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            operator = _text(value)
    return Node(operator, tuple(inputs), tuple(outputs))


def _end(data: memoryview) -> tuple[str, tuple[Size, ...]]:
    """Name and sizes of a ValueInfoProto."""
    name = ""
    shape: memoryview | None = None
    for number, value in fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            tensor = _one(_bytes(value), 1)
            shape = None if tensor is None else _one(tensor, 2)
    if shape is None:
        return name, ()
    return name, tuple(_size(part) for part in _all(shape, 1))


def _size(data: memoryview) -> Size:
    for number, value in fields(data):
        if number == 1 and isinstance(value, int):
            return value
        if number == 2:
            return _text(value)
    return "?"


def _constant(data: memoryview) -> tuple[str, float | None, bool]:
    """Name of a TensorProto, its value where it has one, and whether that lies in another file."""
    name, kind, raw, external = "", 0, memoryview(b""), False
    given: list[float] = []
    count = 1
    for number, value in fields(data):
        if number == 1:
            count *= value if isinstance(value, int) else _product(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 4:
            given += np.frombuffer(_bytes(value), "<f4").tolist()
        elif number == 5:
            given += [value] if isinstance(value, int) else []
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        elif number == 14:
            external = value == 1
    if count == 1 and kind in _NUMPY and len(raw) == np.dtype(_NUMPY[kind]).itemsize:
        given = np.frombuffer(raw, _NUMPY[kind]).tolist()
    return name, float(given[0]) if count == 1 and len(given) == 1 else None, external


def _product(packed: Field) -> int:
    """Of packed sizes: a constant of several dimensions has more than one value, or just one."""
    return 1 if bytes(_bytes(packed)).strip(b"\x01") == b"" else 2


def _all(data: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in fields(data):
        if number == wanted:
            yield _bytes(value)


def _one(data: memoryview, wanted: int) -> memoryview | None:
    return next(_all(data, wanted), None)


def _bytes(value: Field) -> memoryview:
    if isinstance(value, int):
        raise Malformed("a number stands where a message should")
    return value


def _text(value: Field) -> str:
    return bytes(_bytes(value)).decode("utf-8", "replace")
