"""Pictures ready to train on: decoded and fitted once, then drawn in batches.

The bytes are what ``edgenet.image.fit`` gives, so a model is trained and evaluated on exactly the
pixels that a device will see.  They stay uint8 until they are on the device that trains.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgenet import image
from edgenet.dataset import Progress, Split
from edgenet.errors import DataError
from edgenet.files import replacing
from edgenet.spec import Preprocess

MOST_NAMED = 3
REPORTED = 256
# A share of the memory that is free, so that a data set never pushes the model out of the GPU
RESIDENT_SHARE = 0.4


@dataclass
class Pictures:
    """Fitted pictures and their labels.

    Attributes:
        pixels: uint8 (N, H, W, 3), in memory, in a mapped file, or on the device.
        targets: int64 (N,), where ``pixels`` are.
    """

    pixels: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def move(self, device: torch.device) -> None:
        """Moves all pictures to a GPU if they take less than a fair share of its free memory."""
        if device.type != "cuda" or self.pixels.device == device:
            return
        free, _ = torch.cuda.mem_get_info(device)
        if self.pixels.numel() < RESIDENT_SHARE * free:
            self.pixels, self.targets = self.pixels.to(device), self.targets.to(device)


def prepare(
    split: Split,
    preprocess: Preprocess,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    name: str = "",
) -> Pictures:
    """Decodes and fits every picture of a split.

    Args:
        split: the pictures.
        preprocess: the size, and how a picture is made to fit it.
        cache: a folder for a file that is mapped instead of filling memory, and found again next
            time if neither the pictures nor the size changed.
        progress: told how many pictures are done.
        name: what ``progress`` is told they are.

    Raises:
        DataError: some pictures cannot be read; the first of them are named.
    """
    targets = torch.from_numpy(np.array(split.targets))
    shape = (len(split), preprocess.height, preprocess.width, 3)
    if cache is None:
        pixels = np.empty(shape, np.uint8)
        _fill(pixels, split, preprocess, progress, name)
        return Pictures(torch.from_numpy(pixels), targets)
    key = hashlib.sha256(msgspec.json.encode(preprocess) + split.fingerprint().encode()).hexdigest()
    path = cache / f"{key[:32]}.npy"
    if not path.is_file():
        _write(path, shape, lambda mapped: _fill(mapped, split, preprocess, progress, name))
    # copy-on-write, since torch wants memory that it may write to; nothing does
    return Pictures(torch.from_numpy(np.load(path, mmap_mode="c")), targets)


def _write(path: Path, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]) -> None:
    """Makes a .npy file through a mapping; it gets its name when it is complete."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            mapped = np.lib.format.open_memmap(draft, mode="w+", dtype=np.uint8, shape=shape)
            fill(mapped)
            mapped.flush()
    except OSError as error:
        raise DataError(f"cannot keep decoded pictures in {path.parent}: {error}") from error


def _fill(
    pixels: NDArray[np.uint8],
    split: Split,
    preprocess: Preprocess,
    progress: Progress | None,
    name: str,
) -> None:
    """Fits every picture into its row; OpenCV decodes without the interpreter's lock."""

    def fit(index: int) -> DataError | None:
        try:
            pixels[index] = image.fit(split.rgb(index), preprocess)
        except DataError as error:
            return error
        return None

    failures: list[DataError] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(split), REPORTED):
            group = range(start, min(start + REPORTED, len(split)))
            failures += filter(None, threads.map(fit, group))
            if progress:
                progress(name, group.stop, len(split))
    if failures:
        named = "; ".join(str(failure) for failure in failures[:MOST_NAMED])
        more = f"; and {len(failures) - MOST_NAMED} more" if len(failures) > MOST_NAMED else ""
        raise DataError(f"{len(failures)} of {len(split)} pictures cannot be used: {named}{more}")


class Batches:
    """Batches of uint8 pictures (B, H, W, 3) with labels (B,), an iterable for Lightning.

    The order depends on the seed and the epoch alone, so a run that was killed goes on as it would
    have.  With several devices each rank draws its own part of every batch.

    Args:
        pictures: what to draw from.
        size: pictures per batch, on this rank.
        seed: of the order; None keeps the order and the last, smaller batch.
        epoch: asked for the epoch when a pass begins.
        rank: which of the parts this process draws.
        world: how many parts there are.
    """

    def __init__(
        self,
        pictures: Pictures,
        size: int,
        *,
        seed: int | None = None,
        epoch: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.pictures = pictures
        self.seed = seed
        self.epoch = epoch
        self.rank = rank
        self.world = world
        self.size = size if seed is None else max(1, min(size, len(pictures) // world))

    def __len__(self) -> int:
        if self.seed is None:
            mine = len(range(self.rank, len(self.pictures), self.world))
            return -(-mine // self.size)
        return len(self.pictures) // (self.size * self.world)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        indices = torch.split(self._order(), self.size)[: len(self)]
        device = self.pictures.pixels.device
        if device.type == "cuda":
            yield from (self._gather(part) for part in indices)
            return
        # one batch ahead: it is copied together while the one before is trained on
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(self._gather, indices[0])
            for part in indices[1:]:
                ready, ahead = ahead, thread.submit(self._gather, part)
                yield ready.result()
            yield ahead.result()

    def _order(self) -> Tensor:
        count = len(self.pictures)
        if self.seed is None:
            order = torch.arange(self.rank, count, self.world)
        else:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch())
            order = torch.randperm(count, generator=generator)[self.rank :: self.world]
        return order.to(self.pictures.pixels.device)

    def _gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        pixels = self.pictures.pixels.index_select(0, indices)
        targets = self.pictures.targets.index_select(0, indices)
        if pixels.device.type == "cpu" and torch.cuda.is_available():
            return pixels.pin_memory(), targets.pin_memory()
        return pixels, targets
