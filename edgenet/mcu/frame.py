"""Frames on a serial line, as docs/serial.md describes them."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

MAGIC = b"\xed\x9e"
REPLY = 0x80
ERROR = 0x7F
_HEAD = struct.Struct("<2sBBH")
_CRC = struct.Struct("<I")
LEAST = 64
"""Bytes that each side takes in a frame."""
LARGEST = 4096
"""Bytes that a frame may carry; a size above is taken for damage."""


class Frame(NamedTuple):
    """What a frame says: the kind of request or reply, its number, and what it carries."""

    kind: int
    sequence: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    """The bytes of a frame."""
    body = _HEAD.pack(MAGIC, frame.kind, frame.sequence, len(frame.payload)) + frame.payload
    return body + _CRC.pack(zlib.crc32(body[len(MAGIC) :]))


class Decoder:
    """Finds whole frames in what comes, and passes over all else: text, damage, half frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes."""
        self._bytes += data
        found: list[Frame] = []
        while (start := self._bytes.find(MAGIC)) >= 0:
            del self._bytes[:start]
            if len(self._bytes) < _HEAD.size:
                return found
            _, kind, sequence, size = _HEAD.unpack_from(self._bytes)
            end = _HEAD.size + size
            if size <= LARGEST and len(self._bytes) < end + _CRC.size:
                return found
            body = bytes(self._bytes[len(MAGIC) : end])
            if size > LARGEST or zlib.crc32(body) != _CRC.unpack_from(self._bytes, end)[0]:
                # a damaged head may hide the next frame's
                del self._bytes[: len(MAGIC)]
                continue
            found.append(Frame(kind, sequence, body[_HEAD.size - len(MAGIC) :]))
            del self._bytes[: end + _CRC.size]
        del self._bytes[: -len(MAGIC) + 1 or None]
        return found
