"""The wire format of Protocol Buffers, as much of it as reading an ONNX graph takes.

https://protobuf.dev/programming-guides/encoding/: a message is a row of fields, each a number and a
value that says how long it is, so that what is not asked for is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

Field = int | memoryview

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5


class Malformed(ValueError):
    """The bytes are no message."""


def fields(data: memoryview) -> Iterator[tuple[int, Field]]:
    """Number and value of each field: numbers as int, everything else as its bytes.

    Raises:
        Malformed: a field ends beyond the message, or is of no known kind.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _LENGTH:
            size, at = _varint(data, at)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise Malformed(f"a field is of kind {kind}")
        if at + size > len(data):
            raise Malformed("a field ends beyond the message")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Malformed("a number ends beyond the message")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Malformed("a number is too long")
