"""Footprints that were found before, as long as what makes them has not changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from edgenet.files import write_atomic
from edgenet.fit.footprint import Footprint
from edgenet.fit.point import Point

_MADE_BY = (
    *("architecture", "codegen", "cost.py", "int8", "tflite"),
    *(f"fit/{name}.py" for name in ("constants", "footprint", "generated", "linked", "recorded")),
    "fit/kernel_sizes.json",
)
_UNUSED_S = 30 * 24 * 3600


class Cache:
    """Footprints by point and core.

    Args:
        compiler: that code was measured with, and its version; empty where there is none.
        folder: where they lie; the user's own by default.
    """

    def __init__(self, compiler: str, folder: Path | None = None) -> None:
        place = folder or default_folder()
        self._folder = place / fingerprint(compiler)
        with suppress(OSError):
            os.utime(self._folder)
        # of another version of the generator, which may be installed beside this one
        with suppress(OSError):
            for other in place.iterdir():
                if other.stat().st_mtime < time.time() - _UNUSED_S:
                    shutil.rmtree(other, ignore_errors=True)

    def get(self, point: Point, core: str, sram_budget: int | None) -> Footprint | None:
        """What was found; None where nothing was, or it cannot be read."""
        try:
            text = self._file(point, core, sram_budget).read_bytes()
            return msgspec.json.decode(text, type=Footprint)
        except (OSError, msgspec.DecodeError):
            return None

    def put(self, point: Point, core: str, sram_budget: int | None, found: Footprint) -> None:
        """Remember; where the disk refuses, it is found again the next time."""
        file = self._file(point, core, sram_budget)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, msgspec.json.encode(found))

    def _file(self, point: Point, core: str, sram_budget: int | None) -> Path:
        budget = "" if sram_budget is None else f"-{sram_budget}"
        return self._folder / f"{point.name}-{point.classes}-{core}{budget}.json"


def default_folder() -> Path:
    """In the user's own cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgenet" / "fit"


def fingerprint(compiler: str) -> str:
    """Of the code that makes footprints."""
    digest = hashlib.sha256(compiler.encode())
    for part in _MADE_BY:
        for name, content in _files(resources.files("edgenet") / part):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def _files(folder: Traversable) -> list[tuple[str, bytes]]:
    if folder.is_file():
        return [(folder.name, folder.read_bytes())]
    found: list[tuple[str, bytes]] = []
    for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if one.is_dir() and one.name != "__pycache__":
            found += _files(one)
        elif one.is_file():
            found.append((one.name, one.read_bytes()))
    return found
