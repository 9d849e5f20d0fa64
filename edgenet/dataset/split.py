"""What a data set is: named splits of labelled pictures, in an order that never changes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet import image
from edgenet.errors import DataError

Pixels = NDArray[np.uint8]
Targets = NDArray[np.int64]
SPLIT_SEED = 0
"""Of every split that is drawn: what one command trains on, another does not evaluate on."""
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done and how much there is."""


def digest(pixels: Pixels) -> str:
    """Hex digest of a picture's size and decoded pixels: equal pictures, equal digests."""
    found = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    found.update(np.ascontiguousarray(pixels).tobytes())
    return found.hexdigest()


def silent(what: str, done: int, total: int) -> None:
    """The progress that nobody is told of."""


@dataclass(frozen=True)
class Example:
    """One labelled picture.

    Attributes:
        rgb: its pixels, uint8 (H, W, 3), red first.
        label: the index of its class in ``Dataset.labels``.
        name: where it comes from: a path inside the data set, or the split and the index.
    """

    rgb: Pixels
    label: int
    name: str


class Split(ABC):
    """A sequence of examples; pictures are read when they are asked for."""

    @property
    @abstractmethod
    def targets(self) -> Targets:
        """The label of every example, int64 (N,)."""

    @abstractmethod
    def rgb(self, index: int) -> Pixels:
        """The pixels of one example, uint8 (H, W, 3).

        Raises:
            DataError: the picture cannot be read; the message names its file.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """Where one example comes from."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hex digest that changes when a picture is added, removed or rewritten."""

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of a split of {len(self)}")
        index %= len(self)
        return Example(self.rgb(index), int(self.targets[index]), self.name(index))

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def sha256(self, index: int) -> str:
        """The ``digest`` of one picture."""
        return digest(self.rgb(index))


class FileSplit(Split):
    """Pictures in files, decoded one at a time.

    Args:
        root: the folder that names are relative to.
        paths: the picture files, in order.
        targets: the label of each, int64 (N,).
    """

    def __init__(self, root: Path, paths: tuple[Path, ...], targets: Targets) -> None:
        self.root = root
        self.paths = paths
        self._targets = targets

    @property
    def targets(self) -> Targets:
        return self._targets

    def rgb(self, index: int) -> Pixels:
        return image.read_rgb(self.paths[index])

    def name(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for index, path in enumerate(self.paths):
            stat = path.stat()
            entry = (
                f"{self.name(index)}\0{self._targets[index]}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
            )
            digest.update(entry.encode())
        return digest.hexdigest()


class ArraySplit(Split):
    """Pictures of one size in memory, loaded together when the first is asked for.

    Args:
        prefix: what their names start with.
        load: gives the pixels, uint8 (N, H, W, 3), and the labels, (N,).
    """

    def __init__(self, prefix: str, load: Callable[[], tuple[Pixels, NDArray[Any]]]) -> None:
        self.prefix = prefix
        self._load = load

    @cached_property
    def _arrays(self) -> tuple[Pixels, Targets]:
        pixels, targets = self._load()
        return pixels, targets.astype(np.int64)

    @property
    def targets(self) -> Targets:
        return self._arrays[1]

    @property
    def pixels(self) -> Pixels:
        """All pictures, uint8 (N, H, W, 3)."""
        return self._arrays[0]

    def rgb(self, index: int) -> Pixels:
        picture: Pixels = self.pixels[index]
        return picture

    def name(self, index: int) -> str:
        return f"{self.prefix}/{index:05d}"

    def fingerprint(self) -> str:
        digest = hashlib.sha256(str(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        digest.update(self.targets.tobytes())
        return digest.hexdigest()


class Subset(Split):
    """Some examples of another split, in the order of ``indices``."""

    def __init__(self, whole: Split, indices: NDArray[np.intp]) -> None:
        self.whole = whole
        self.indices = indices

    @property
    def targets(self) -> Targets:
        return self.whole.targets[self.indices]

    def rgb(self, index: int) -> Pixels:
        return self.whole.rgb(int(self.indices[index]))

    def name(self, index: int) -> str:
        return self.whole.name(int(self.indices[index]))

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.whole.fingerprint().encode())
        digest.update(self.indices.astype(np.int64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures and how they are split.

    Attributes:
        name: what the user calls it.
        labels: class names, in the order of the labels' indices.
        splits: ``train``, and ``val`` or ``test`` or both.
        note: what a reader of its results must know; empty when nothing.
    """

    name: str
    labels: tuple[str, ...]
    splits: Mapping[str, Split]
    note: str = ""

    @property
    def evaluation_name(self) -> str:
        """The name of the split that final results are measured on."""
        return "test" if "test" in self.splits else "val"

    @property
    def evaluation(self) -> Split:
        """The split that final results are measured on: ``test``, else ``val``."""
        return self.splits[self.evaluation_name]


def hold_out(whole: Split, share: float, seed: int, *, source: str) -> tuple[Subset, Subset]:
    """Divides a split in two, drawing the same share of every class.

    Args:
        whole: the split to divide.
        share: how much of each class goes to the second part, 0..1; at least one picture of each
            class goes to each part.
        seed: of the draw; the same seed gives the same parts.
        source: what an error calls the data.

    Returns:
        The larger part and the part held out, each in the order of ``whole``.

    Raises:
        DataError: a class has fewer than two pictures.
    """
    rng = np.random.default_rng(seed)
    targets = whole.targets
    held: list[NDArray[np.intp]] = []
    for label in np.unique(targets):
        members = np.flatnonzero(targets == label)
        if len(members) < 2:
            raise DataError(
                f"{source}: {whole.name(int(members[0]))} is the only picture of its class, which "
                "cannot be split; add pictures or give train/ and val/ folders"
            )
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held.append(rng.permutation(members)[:count])
    second = np.sort(np.concatenate(held))
    first = np.setdiff1d(np.arange(len(targets)), second)
    return Subset(whole, first), Subset(whole, second)
