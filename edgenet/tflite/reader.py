"""Bytes of a .tflite file to its records; bytes that are wrong to one sentence."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from edgenet.errors import GraphError
from edgenet.tflite import schema
from edgenet.tflite.flatbuffer import Array, Bytes, Malformed, Table
from edgenet.tflite.model import ABSENT, Model, Operator, Signature, Subgraph, Tensor

T = TypeVar("T")

_MARK = b"TFL3"
_MOST_DIMENSIONS = 32
# types whose values numpy can hold
_PLAIN = (
    set(schema.DTYPES)
    - {"string", "resource", "variant", "bfloat16"}
    - {
        name
        for name in schema.DTYPES
        if name.startswith("float8") or name.endswith(("int2", "int4"))
    }
)
_LARGEST_FILES = 16 << 20  # bytes of all associated files together, unpacked


def read(data: bytes, name: str) -> Model:
    """A model's records; constants are views of ``data``.

    Takes time and memory in proportion to the file, whatever its bytes are.

    Args:
        data: the file.
        name: what to call it in sentences, as a user knows it.

    Raises:
        GraphError: the bytes are not a .tflite file, or a damaged one.
    """
    if data[4:8] != _MARK:
        raise GraphError(
            f"{name} is not a TFLite model: its mark 'TFL3' is missing; give a .tflite file"
        )
    try:
        return _model(data, name)
    except Malformed as error:
        raise GraphError(f"{name} is cut off or damaged: {error}; get it again") from error


def associated_files(data: bytes, name: str) -> dict[str, bytes]:
    """The files in the ZIP archive behind a model, by name: label files, as a rule.

    Empty where there is no archive.

    Raises:
        GraphError: the archive is damaged, encrypted, or unpacks to more than 16 MiB.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _LARGEST_FILES:
                raise GraphError(
                    f"{name}: its associated files are larger than {_LARGEST_FILES >> 20} MiB; "
                    "take them out, or get the model again"
                )
            return {member.filename: archive.read(member) for member in archive.infolist()}
    except _BAD_ARCHIVE as error:
        raise GraphError(
            f"{name}: the archive behind the model is damaged; get it again"
        ) from error


_BAD_ARCHIVE = (
    zipfile.BadZipFile, zlib.error,
    EOFError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip


def _model(data: bytes, name: str) -> Model:
    source = Bytes(data)
    root = source.root()
    version = root.integer(0, "uint")
    if version != 3:
        raise Malformed(f"its schema has version {version}, not 3")
    buffers = [_content(source, buffer) for buffer in root.tables(4)]
    codes = [_code(table) for table in root.tables(1)]
    subgraphs = tuple(_Subgraph(source, table, buffers, codes).read() for table in root.tables(2))
    if not subgraphs:
        raise Malformed("it holds no subgraph")
    return Model(
        name=name,
        version=version,
        description=root.text(3),
        subgraphs=subgraphs,
        signatures=tuple(_signature(table, subgraphs) for table in root.tables(7)),
        metadata=MappingProxyType(_metadata(source, root, buffers)),
    )


def _content(source: Bytes, buffer: Table) -> memoryview:
    """A buffer's bytes: inside the flatbuffer, or behind it where large models have them."""
    inside = buffer.raw(0)
    offset, size = buffer.integer(1, "ulong"), buffer.integer(2, "ulong")
    if inside or offset <= 1:  # 0 and 1 stand for nowhere
        return inside
    source.need(offset, size)
    return memoryview(source.data)[offset : offset + size]


def _code(table: Table) -> tuple[str, bool, int]:
    """Name, whether it is custom, version."""
    # what is above 127 stands in the newer field, what is below in both or in the older
    number = max(table.integer(0, "byte"), table.integer(3, "int"))
    custom = number == schema.CUSTOM
    name = table.text(1) if custom else schema.operator_name(number)
    return name, custom, table.integer(2, "int", 1)


def _metadata(source: Bytes, root: Table, buffers: Sequence[memoryview]) -> dict[str, bytes]:
    found = {}
    for entry in root.tables(6):
        content = _at(buffers, entry.integer(1, "uint"), "buffer")
        source.spend(len(content))
        found[entry.text(0)] = bytes(content)
    return found


def _signature(table: Table, subgraphs: Sequence[Subgraph]) -> Signature:
    number = table.integer(4, "uint")
    tensors = _at(subgraphs, number, "subgraph").tensors

    def names(slot: int) -> dict[str, int]:
        pairs = [(entry.text(0), entry.integer(1, "uint")) for entry in table.tables(slot)]
        return {name: _at(tensors, index, "tensor").index for name, index in pairs}

    inputs, outputs = MappingProxyType(names(0)), MappingProxyType(names(1))
    return Signature(name=table.text(2), subgraph=number, inputs=inputs, outputs=outputs)


class _Subgraph:
    """Reads one subgraph, whose parts refer to one another by number."""

    def __init__(
        self,
        source: Bytes,
        table: Table,
        buffers: Sequence[memoryview],
        codes: Sequence[tuple[str, bool, int]],
    ) -> None:
        self._source = source
        self._table = table
        self._buffers = buffers
        self._codes = codes
        self._tensors: tuple[Tensor, ...] = ()

    def read(self) -> Subgraph:
        self._tensors = tuple(self._tensor(i, t) for i, t in enumerate(self._table.tables(0)))
        return Subgraph(
            name=self._table.text(4),
            tensors=self._tensors,
            operators=tuple(self._operator(i, t) for i, t in enumerate(self._table.tables(3))),
            inputs=self._references(self._table, 1),
            outputs=self._references(self._table, 2),
        )

    def _tensor(self, index: int, table: Table) -> Tensor:
        name = table.text(3)
        if table.integer(10, "uint"):
            raise Malformed(f"tensor {index} {name!r} is stored in another file")
        shape, dtype = table.integers(0), schema.dtype_name(table.integer(1, "byte"))
        if len(shape) > _MOST_DIMENSIONS:
            raise Malformed(f"tensor {index} {name!r} has {len(shape)} dimensions")
        content = _at(self._buffers, table.integer(2, "uint"), "buffer")
        sparse = table.table(6) is not None
        scale, zero_point, axis = _quantization(table.table(4), index)
        return Tensor(
            index=index,
            name=name,
            shape=shape,
            shape_signature=table.integers(7),
            dtype=dtype,
            scale=scale,
            zero_point=zero_point,
            axis=axis,
            data=_values(content, shape, "sparse" if sparse else dtype, index) if content else None,
            variable=bool(table.scalar(5, "bool")),
            sparse=sparse,
        )

    def _operator(self, index: int, table: Table) -> Operator:
        name, custom, version = _at(self._codes, table.integer(0, "uint"), "operator code")
        kind = table.integer(3, "ubyte")
        return Operator(
            index=index,
            name=name,
            custom=custom,
            version=version,
            inputs=self._references(table, 1, absent=True),
            outputs=self._references(table, 2),
            options_table=schema.options_table(kind),
            options=schema.options(kind, table.table(4)),
            custom_options=self._custom_options(table),
        )

    def _custom_options(self, table: Table) -> bytes:
        content = table.raw(5)
        offset, size = table.integer(9, "ulong"), table.integer(10, "ulong")
        if offset > 1:
            self._source.need(offset, size)
            content = memoryview(self._source.data)[offset : offset + size]
        self._source.spend(len(content))
        return bytes(content)

    def _references(self, table: Table, slot: int, *, absent: bool = False) -> tuple[int, ...]:
        numbers = table.integers(slot)
        for number in numbers:
            if not (absent and number == ABSENT):
                _at(self._tensors, number, "tensor")
        return numbers


def _quantization(
    table: Table | None, index: int
) -> tuple[tuple[float, ...], tuple[int, ...], int | None]:
    """Scales, zero points and axis; zero points that are left out are 0."""
    if table is None:
        return (), (), None
    scale = tuple(table.numbers(2, "float").tolist())
    zero_point = tuple(table.numbers(3, "long").tolist()) or (0,) * len(scale)
    if len(zero_point) == 1:
        zero_point *= len(scale)
    if len(scale) != len(zero_point):
        raise Malformed(f"tensor {index} has {len(scale)} scales and {len(zero_point)} zero points")
    return scale, zero_point, table.integer(6, "int") if len(scale) > 1 else None


def _values(content: memoryview, shape: tuple[int, ...], dtype: str, index: int) -> Array:
    if dtype not in _PLAIN:
        return np.frombuffer(content, np.uint8)
    kind = np.dtype(dtype).newbyteorder("<")
    wanted = math.prod(shape) * kind.itemsize
    if any(size < 0 for size in shape) or wanted != len(content):
        raise Malformed(
            f"tensor {index} of shape {shape} and {dtype} has {len(content)} bytes of data"
        )
    return np.frombuffer(content, kind).reshape(shape)


def _at(items: Sequence[T], number: int, what: str) -> T:
    if not 0 <= number < len(items):
        raise Malformed(f"it names {what} {number} of {len(items)}")
    return items[number]
