"""Picture files: one, a folder's, or those that a pattern matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from time import monotonic

from edgenet import image
from edgenet.dataset.folder import SUFFIXES, is_hidden, pictures_below
from edgenet.errors import DataError, SourceError
from edgenet.runner import Frame

WILDCARDS = "*?["

OnError = Callable[[DataError], None]


def refuse(error: DataError) -> None:
    """Raise what was told: the default of ``on_error``."""
    raise error


class Pictures:
    """Picture files, in the given order; read one at a time."""

    live = False

    def __init__(self, paths: Iterable[Path], *, on_error: OnError = refuse) -> None:
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


def in_folder(folder: Path) -> list[Path]:
    """The pictures below a folder, hidden ones left out.

    Raises:
        SourceError: there are none.
    """
    found = pictures_below(folder)
    if not found:
        raise SourceError(f"{folder} holds no pictures ({' '.join(sorted(SUFFIXES))})")
    return found


def is_pattern(source: str) -> bool:
    """Whether it holds a wildcard."""
    return any(wildcard in source for wildcard in WILDCARDS)


def matching(pattern: str) -> list[Path]:
    """The files that a pattern matches, hidden ones left out unless it names them.

    Raises:
        SourceError: there are none.
    """
    found = sorted(path for path in _glob(Path(pattern)) if path.is_file())
    if not found:
        raise SourceError(
            f"no file matches {pattern!r}; look at the folder, and at how its names end"
        )
    return found


def _glob(pattern: Path) -> Iterator[Path]:
    start = Path(*takewhile(lambda part: not set(part) & set(WILDCARDS), pattern.parts))
    rest = pattern.relative_to(start)
    for path in start.glob(str(rest)):
        if is_hidden(rest) or not is_hidden(path.relative_to(start)):
            yield path
