"""Whole lines to a file or a stream: a disk that is full leaves no half of one."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Protocol

from edgenet.errors import SinkError


class Lines(Protocol):
    """Takes lines, each with its line feed."""

    empty: bool

    def write(self, line: bytes) -> None: ...
    def close(self) -> None: ...


class Stream:
    """Lines to a stream that belongs to somebody else, such as standard output.

    Attributes:
        empty: whether nothing was written to it before.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.empty = True

    def write(self, line: bytes) -> None:
        """Write a line and flush it.

        Raises:
            BrokenPipeError: its reader has gone.
            SinkError: it cannot be written.
        """
        try:
            self.stream.write(line)
            self.stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SinkError(f"{self.name} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """The stream stays open."""


class File:
    """Lines at the end of a file, which is made when it is missing.

    A last line that an earlier run left without its line feed gets one first.

    Attributes:
        empty: whether there was nothing in it.

    Raises:
        SinkError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("ab+", buffering=0)
        except OSError as error:
            raise SinkError(
                f"{path} cannot be opened: {error.strerror}; name a file in a folder that is there"
                " and that you may write to"
            ) from error
        self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self._size = self._file.seek(0, os.SEEK_END) if self._regular else 0
        self.empty = not self._size
        if self._size and os.pread(self._file.fileno(), 1, self._size - 1) != b"\n":
            self.write(b"\n")

    def first_line(self) -> bytes:
        """The first line without its line feed."""
        content = os.pread(self._file.fileno(), 65536, 0) if self._regular else b""
        return content.partition(b"\n")[0].rstrip(b"\r")

    def write(self, line: bytes) -> None:
        """Write a whole line or nothing.

        Raises:
            SinkError: the disk is full, or refuses otherwise.
        """
        try:
            if self._file.write(line) != len(line):
                self._take_back()
                raise SinkError(f"{self.path} cannot be written: the disk is full")
        except OSError as error:
            raise SinkError(f"{self.path} cannot be written: {error.strerror}") from error
        self._size += len(line)

    def close(self) -> None:
        """Close the file; every line is on its way to the disk already."""
        self._file.close()

    def _take_back(self) -> None:
        if self._regular:
            self._file.truncate(self._size)
