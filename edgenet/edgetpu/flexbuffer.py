"""FlexBuffers, flatbuffers without a schema, with every offset checked: maps, vectors and scalars.

The format: https://flatbuffers.dev/flatbuffers_internals/#flexbuffers.  A value ends with its type
and width; what it holds lies before it, at a distance that the value itself states.
"""

from __future__ import annotations

from collections.abc import Mapping

Value = int | bytes | list["Value"] | dict[str, "Value"] | None

_INT, _UINT, _KEY, _STRING, _MAP, _VECTOR, _VECTOR_INT, _VECTOR_UINT = 1, 2, 4, 5, 9, 10, 11, 12
_BLOB = 25
_DEEPEST = 8


class Malformed(ValueError):
    """The bytes are no FlexBuffer, or hold a type that is not read here."""


def read(data: bytes) -> Value:
    """The root value; strings and blobs as bytes, what is of another type as None.

    Raises:
        Malformed: an offset leads out of the bytes, or values lie too deep in one another.
    """
    if len(data) < 3:
        raise Malformed("it is too short")
    width, packed = data[-1], data[-2]
    if width not in (1, 2, 4, 8):
        raise Malformed(f"its root is {width} bytes wide")
    return _Reader(data).value(len(data) - 2 - width, width, packed, depth=0)


def read_map(data: bytes) -> Mapping[str, Value]:
    """The root, which must be a map; raises as ``read`` does."""
    root = read(data)
    if not isinstance(root, dict):
        raise Malformed("its root is no map")
    return root


class _Reader:
    """Reads values, and counts them: offsets may lead many values to the same bytes.

    Args:
        data: the whole buffer.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = len(data) + 64

    def value(self, at: int, width: int, packed: int, *, depth: int) -> Value:
        """The value at ``at``, which takes ``width`` bytes and has the type of ``packed``."""
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise Malformed("its values lie too deep in one another")
        kind, inner = packed >> 2, 1 << (packed & 3)
        if kind in (_INT, _UINT):
            return self._number(at, width, signed=kind == _INT)
        if kind not in (_KEY, _STRING, _BLOB, _MAP, _VECTOR, _VECTOR_INT, _VECTOR_UINT):
            return None
        start = at - self._number(at, width)
        if kind == _KEY:
            return self._key(start).encode()
        length = self._number(start - inner, inner)
        self._need(start, length if kind in (_STRING, _BLOB) else length * inner)
        if kind in (_STRING, _BLOB):
            return self.data[start : start + length]
        if kind in (_VECTOR_INT, _VECTOR_UINT):
            signed = kind == _VECTOR_INT
            return [self._number(start + i * inner, inner, signed=signed) for i in range(length)]
        values = self._values(start, length, inner, depth)
        if kind == _VECTOR:
            return values
        return dict(zip(self._keys(start, length, inner), values, strict=True))

    def _values(self, start: int, length: int, width: int, depth: int) -> list[Value]:
        types = start + length * width
        self._need(types, length)
        return [
            self.value(start + i * width, width, self.data[types + i], depth=depth + 1)
            for i in range(length)
        ]

    def _keys(self, start: int, length: int, width: int) -> list[str]:
        at = start - 3 * width
        keys, key_width = at - self._number(at, width), self._number(at + width, width)
        if key_width not in (1, 2, 4, 8):
            raise Malformed(f"its keys are {key_width} bytes wide")
        places = [keys + i * key_width for i in range(length)]
        return [self._key(place - self._number(place, key_width)) for place in places]

    def _key(self, at: int) -> str:
        self._need(at, 1)
        end = self.data.find(0, at)
        if end < 0:
            raise Malformed("a key does not end")
        return self.data[at:end].decode("utf-8", "replace")

    def _number(self, at: int, width: int, *, signed: bool = False) -> int:
        self._need(at, width)
        return int.from_bytes(self.data[at : at + width], "little", signed=signed)

    def _need(self, at: int, size: int) -> None:
        if at < 0 or at + size > len(self.data):
            raise Malformed(f"{size} bytes at {at} are beyond its end at {len(self.data)}")
