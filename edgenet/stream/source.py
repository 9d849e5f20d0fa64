"""Where frames come from: pictures by path, a video file, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from edgenet import image
from edgenet.dataset.folder import SUFFIXES, is_hidden, pictures_below
from edgenet.errors import DataError, SourceError, nothing_at
from edgenet.runner import Frame, Source
from edgenet.stream.fake import Fake
from edgenet.stream.grabber import GIVE_UP_S, Grabber
from edgenet.stream.mode import Mode
from edgenet.stream.video import VIDEO_SUFFIXES, Video

MAX_FRAME_BYTES = 64 * 2**20
WILDCARDS = "*?["

OnError = Callable[[DataError], None]
OnEvent = Callable[[str], None]


def _refuse(error: DataError) -> None:
    raise error


def _ignore(event: str) -> None:
    del event


def open_source(source: str, *, on_error: OnError = _refuse) -> Source:
    """Open what ``--source`` names.

    Args:
        source: a picture, a folder (searched with its subfolders), a glob (``**`` too), a video
            file, or ``-`` for pictures on standard input.  Folders and globs pass over hidden
            files, but for a glob that names a leading dot.
        on_error: told of each picture that cannot be read, which is then left out; by default
            the first one ends the iteration.

    Raises:
        SourceError: there is nothing, or no picture in it.
    """
    if source == "-":
        return Stdin(sys.stdin.buffer, on_error=on_error)
    name, _, mode = source.partition(":")
    if name == "fake":
        return Fake(Mode.parse(mode, source))
    path = Path(source)
    if path.is_dir():
        found = pictures_below(path)
        if not found:
            raise SourceError(f"{path} holds no pictures ({' '.join(sorted(SUFFIXES))})")
        return Pictures(found, on_error=on_error)
    if path.exists():
        if path.suffix.lower() in VIDEO_SUFFIXES:
            return Video(path)
        return Pictures([path], on_error=on_error)
    if any(wildcard in source for wildcard in WILDCARDS):
        found = sorted(p for p in _glob(path) if p.is_file())
        if not found:
            raise SourceError(f"no file matches {source!r}")
        return Pictures(found, on_error=on_error)
    raise SourceError(nothing_at(path))


def is_live(source: str) -> bool:
    """Whether ``source`` names a camera or a stream, by its words alone."""
    return source.partition(":")[0] == "fake"


def open_frames(
    source: str,
    *,
    on_error: OnError = _refuse,
    on_event: OnEvent = _ignore,
    give_up_s: float = GIVE_UP_S,
) -> Source | Grabber:
    """Open what ``--source`` names as a loop wants it: a live source behind a ``Grabber``.

    Args:
        source: as for ``open_source``.
        on_error: as for ``open_source``.
        on_event: told in words, from another thread, what a live source grants and when it is
            lost and back; nothing is said twice in a row.
        give_up_s: seconds without a frame after which a live source is an error.

    Raises:
        UsageError: the words of ``source`` are wrong.
        SourceError: a finite source cannot be opened; a live one raises when it is iterated.
    """
    if not is_live(source):
        return open_source(source, on_error=on_error)
    return Grabber(lambda: open_source(source), on_event=on_event, give_up_s=give_up_s)


class Pictures:
    """Picture files, in the given order; read one at a time."""

    live = False

    def __init__(self, paths: Iterable[Path], *, on_error: OnError = _refuse) -> None:
        self.paths = tuple(paths)
        self.on_error = on_error

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            try:
                rgb = image.read_rgb(path)
            except DataError as error:
                self.on_error(error)
            else:
                yield Frame(index, monotonic() * 1e3, rgb, name=str(path))

    def close(self) -> None:
        """Nothing is held open."""


class Stdin:
    """Pictures on a stream, each after its length: 4 bytes, big-endian, until the end of file.

    This is what another process, in any language, needs two lines to write, and it marks where a
    picture ends, which JPEG and PNG by themselves do not do reliably.
    """

    live = False

    def __init__(self, stream: BinaryIO, *, on_error: OnError = _refuse) -> None:
        self.stream = stream
        self.on_error = on_error

    def __iter__(self) -> Iterator[Frame]:
        """Read until the end of file.

        Raises:
            SourceError: the stream is empty or a terminal, ends within a picture, or announces
                one above ``MAX_FRAME_BYTES``, as it does when no lengths are sent.
        """
        if self.stream.isatty():
            raise SourceError(
                "standard input is a terminal; pipe pictures into it, each after its length"
                " (4 bytes, big-endian)"
            )
        index = 0
        while head := self._read(4, f"the length of picture {index}"):
            size = int.from_bytes(head)
            if size > MAX_FRAME_BYTES:
                raise SourceError(
                    f"standard input announces {size} bytes for picture {index}, more than"
                    f" {MAX_FRAME_BYTES}; send each picture after its length (4 bytes, big-endian)"
                )
            name = f"-#{index}"
            data = self._read(size, f"picture {index}", may_end=False)
            try:
                rgb = image.decode_rgb(data, name)
            except DataError as error:
                self.on_error(error)
            else:
                yield Frame(index, monotonic() * 1e3, rgb, name=name)
            index += 1
        if not index:
            raise SourceError("standard input is empty")

    def _read(self, size: int, what: str, *, may_end: bool = True) -> bytes:
        data = b""
        while len(data) < size and (chunk := self.stream.read(size - len(data))):
            data += chunk
        if len(data) < size and (data or not may_end):
            raise SourceError(
                f"standard input ended after {len(data)} of the {size} bytes of {what}"
            )
        return data

    def close(self) -> None:
        """The stream belongs to the process and stays open."""


def _glob(pattern: Path) -> Iterator[Path]:
    start = Path(*takewhile(lambda part: not set(part) & set(WILDCARDS), pattern.parts))
    rest = pattern.relative_to(start)
    for path in start.glob(str(rest)):
        if is_hidden(rest) or not is_hidden(path.relative_to(start)):
            yield path
