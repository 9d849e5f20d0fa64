"""Flatbuffers read with every offset checked, since Python's own runtime trusts the bytes.

The format: https://flatbuffers.dev/internals.  A table starts with the distance back to its vtable,
which says where in the table each field lies; strings, vectors and tables lie elsewhere, and a
field holds the distance forward to them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
_SCALARS = {
    "bool": struct.Struct("<?"),
    "byte": struct.Struct("<b"),
    "ubyte": struct.Struct("<B"),
    "short": struct.Struct("<h"),
    "int": _I32,
    "uint": _U32,
    "long": struct.Struct("<q"),
    "ulong": struct.Struct("<Q"),
    "float": struct.Struct("<f"),
}
_NUMPY = {"bool": "?", "ubyte": "u1", "int": "<i4", "float": "<f4", "long": "<i8"}

Scalar = bool | int | float


class Malformed(ValueError):
    """The bytes are no flatbuffer of this schema; the message ends a sentence."""


class Bytes:
    """A file's bytes, and how much of them may still be decoded.

    Offsets may lead many fields to the same bytes, so a small file could ask for endless work; the
    budget ends that.

    Args:
        data: the whole file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._budget = 16 * len(data) + 4096

    def root(self) -> Table:
        return Table(self, self.scalar(_U32, 0))

    def scalar(self, kind: struct.Struct, position: int) -> int:
        """The value at a position, of any scalar kind.

        Raises:
            Malformed: it does not lie inside the file.
        """
        self.need(position, kind.size)
        return kind.unpack_from(self.data, position)[0]  # type: ignore[no-any-return]

    def need(self, position: int, size: int) -> None:
        """Refuse what does not lie inside the file.

        Raises:
            Malformed: so it is.
        """
        if position < 0 or position + size > len(self.data):
            raise Malformed(f"{size} bytes at {position} are beyond its end at {len(self.data)}")

    def spend(self, size: int) -> None:
        """Count bytes that are decoded.

        Raises:
            Malformed: the same bytes were decoded over and over.
        """
        self._budget -= size
        if self._budget < 0:
            raise Malformed("its fields lead to the same bytes again and again")

    def follow(self, position: int) -> int:
        return position + self.scalar(_U32, position)

    def vector(self, position: int, item: int) -> tuple[int, int]:
        """Start and length of the vector whose offset lies at ``position``."""
        start = self.follow(position)
        length = self.scalar(_U32, start)
        self.need(start + 4, length * item)
        return start + 4, length


class Table:
    """One table; a field is named by its slot, its number in the schema.

    Args:
        source: the file.
        position: of the table in it.

    Raises:
        Malformed: the table or its vtable does not lie inside the file.
    """

    def __init__(self, source: Bytes, position: int) -> None:
        source.spend(16)
        vtable = position - source.scalar(_I32, position)
        size = source.scalar(_U16, vtable)
        source.need(vtable, max(size, 4))
        self._source = source
        self._position = position
        self._vtable = vtable
        self._slots = (size - 4) // 2

    def scalar(self, slot: int, kind: str, default: Scalar = 0) -> Scalar:
        position = self._field(slot)
        if position is None:
            return default
        return self._source.scalar(_SCALARS[kind], position)

    def integer(self, slot: int, kind: str, default: int = 0) -> int:
        return int(self.scalar(slot, kind, default))

    def raw(self, slot: int) -> memoryview:
        """The bytes of a vector of bytes, not copied; none where the field is absent."""
        position = self._field(slot)
        if position is None:
            return memoryview(b"")
        start, length = self._source.vector(position, 1)
        return memoryview(self._source.data)[start : start + length]

    def text(self, slot: int) -> str:
        """A string; what is not UTF-8 in it is replaced, as names are for people."""
        raw = self.raw(slot)
        self._source.spend(len(raw))
        return bytes(raw).decode("utf-8", "replace")

    def numbers(self, slot: int, kind: str) -> Array:
        """A vector of scalars, a copy."""
        dtype = np.dtype(_NUMPY[kind])
        position = self._field(slot)
        if position is None:
            return np.zeros(0, dtype)
        start, length = self._source.vector(position, dtype.itemsize)
        self._source.spend(length * dtype.itemsize)
        return np.frombuffer(self._source.data, dtype, length, start).copy()

    def integers(self, slot: int) -> tuple[int, ...]:
        return tuple(self.numbers(slot, "int").tolist())

    def table(self, slot: int) -> Table | None:
        position = self._field(slot)
        return None if position is None else Table(self._source, self._source.follow(position))

    def tables(self, slot: int) -> Iterator[Table]:
        """A vector of tables, in order."""
        position = self._field(slot)
        if position is None:
            return
        start, length = self._source.vector(position, 4)
        for place in range(start, start + 4 * length, 4):
            yield Table(self._source, self._source.follow(place))

    def raws(self, slot: int) -> Iterator[memoryview]:
        """A vector of strings or of vectors of bytes, in order, not copied."""
        position = self._field(slot)
        if position is None:
            return
        start, length = self._source.vector(position, 4)
        for place in range(start, start + 4 * length, 4):
            self._source.spend(4)
            begin, size = self._source.vector(place, 1)
            yield memoryview(self._source.data)[begin : begin + size]

    def _field(self, slot: int) -> int | None:
        if slot >= self._slots:
            return None
        offset = self._source.scalar(_U16, self._vtable + 4 + 2 * slot)
        return self._position + offset if offset else None
