"""Pictures on standard input: encoded ones after their lengths, or raw pixels of one size."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import BinaryIO

import numpy as np

from edgenet import image
from edgenet.errors import DataError, SourceError
from edgenet.runner import Frame
from edgenet.stream.pictures import OnError, refuse

MAX_FRAME_BYTES = 64 * 2**20


class Stdin:
    """Pictures on a stream, each after its length: 4 bytes, big-endian, until the end of file.

    This is what another process, in any language, needs two lines to write, and it marks where a
    picture ends, which JPEG and PNG by themselves do not do reliably.
    """

    live = False

    def __init__(self, stream: BinaryIO, *, on_error: OnError = refuse) -> None:
        self.stream = stream
        self.on_error = on_error

    def __iter__(self) -> Iterator[Frame]:
        """Read until the end of file.

        Raises:
            SourceError: the stream is empty or a terminal, ends within a picture, or announces
                one above ``MAX_FRAME_BYTES``, as it does when no lengths are sent.
        """
        _refuse_terminal(
            self.stream, "pictures into it, each after its length (4 bytes, big-endian)"
        )
        index = 0
        while head := _read(self.stream, 4, f"the length of picture {index}"):
            size = int.from_bytes(head)
            if size > MAX_FRAME_BYTES:
                raise SourceError(
                    f"standard input announces {size} bytes for picture {index}, more than"
                    f" {MAX_FRAME_BYTES}; send each picture after its length (4 bytes, big-endian)"
                )
            name = f"-#{index}"
            data = _read(self.stream, size, f"picture {index}", may_end=False)
            try:
                rgb = image.decode_rgb(data, name)
            except DataError as error:
                self.on_error(error)
            else:
                yield Frame(index, monotonic() * 1e3, rgb, name=name)
            index += 1
        if not index:
            raise SourceError("standard input is empty")

    def close(self) -> None:
        """The stream belongs to the process and stays open."""


class RawStdin:
    """Raw pictures on a stream, one after the other: 8-bit RGB, row by row, nothing between.

    Args:
        stream: what is read.
        size: (width, height) of every picture, in pixels.
    """

    live = False

    def __init__(self, stream: BinaryIO, size: tuple[int, int]) -> None:
        self.stream = stream
        self.size = size

    def __iter__(self) -> Iterator[Frame]:
        """Read until the end of file.

        Raises:
            SourceError: the stream is empty or a terminal, or ends within a picture.
        """
        _refuse_terminal(self.stream, "8-bit RGB pixels into it")
        width, height = self.size
        index = 0
        while data := _read(self.stream, width * height * 3, f"picture {index}, {width}x{height}"):
            rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            yield Frame(index, monotonic() * 1e3, rgb, name=f"-#{index}")
            index += 1
        if not index:
            raise SourceError("standard input is empty")

    def close(self) -> None:
        """The stream belongs to the process and stays open."""


def _refuse_terminal(stream: BinaryIO, what: str) -> None:
    if stream.isatty():
        raise SourceError(f"standard input is a terminal; pipe {what}")


def _read(stream: BinaryIO, size: int, what: str, *, may_end: bool = True) -> bytes:
    parts: list[bytes] = []
    missing = size
    while missing and (chunk := stream.read(missing)):
        parts.append(chunk)
        missing -= len(chunk)
    if missing and (parts or not may_end):
        raise SourceError(
            f"standard input ended after {size - missing} of the {size} bytes of {what}"
        )
    return b"".join(parts)
