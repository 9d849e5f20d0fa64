"""CIFAR-10 in its binary form, which needs no pickle, or as lossless mosaics.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009;
https://www.cs.toronto.edu/~kriz/cifar.html, section 'Binary version': each record is one byte of
label, then 1,024 bytes each of red, green and blue, row by row.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenet import image
from edgenet.dataset.fetch import fetch
from edgenet.dataset.folder import open_folder
from edgenet.dataset.split import ArraySplit, Dataset, Pixels, Progress
from edgenet.errors import DataError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
ARCHIVE = "cifar-10-binary.tar.gz"
LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
BATCHES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
MOSAICS = {
    "train": tuple(f"train_{number}.webp" for number in range(5)),
    "test": ("test.webp",),
}
SIDE = 32
RECORD = 1 + SIDE * SIDE * 3
ROWS = COLUMNS = 100


def open_cifar10(place: Path | None = None, *, progress: Progress | None = None) -> Dataset:
    """Opens CIFAR-10: 50,000 pictures to train on and 10,000 to test, 32x32.

    Args:
        place: the archive ``cifar-10-binary.tar.gz``, its unpacked folder, a folder of
            ``train/`` and ``test/`` class folders, or a folder of mosaics: ``labels.npz`` with
            ``train`` and ``test`` labels beside ``train_0.webp`` to ``train_4.webp`` and
            ``test.webp``, each 100x100 tiles of 32x32.  Without it the archive is looked for in,
            or downloaded to, ``cifar10`` under ``$EDGENET_DATA`` or the user's cache folder.
        progress: told about the download.

    Raises:
        DataError: the data is missing, incomplete or changed; the message names the file.
    """
    if place is None:
        place = _home()
        if not _recognized(place):
            place = fetch(URL, place / ARCHIVE, sha256=SHA256, progress=progress)
    if place.is_dir() and (place / ARCHIVE).is_file():
        place = place / ARCHIVE
    if place.is_file():
        return _dataset(partial(_from_archive, place))
    if (place / "labels.npz").is_file():
        return _dataset(partial(_from_mosaics, place), note=_note(place))
    if (nested := place / "cifar-10-batches-bin").is_dir():
        place = nested
    if (place / "test_batch.bin").is_file():
        return _dataset(partial(_from_batches, place))
    if (place / "train").is_dir():
        return open_folder(place)
    raise DataError(
        f"{place} holds no CIFAR-10; expected {ARCHIVE}, its unpacked folder, "
        "a folder of train/ and test/ class folders, or mosaics with labels.npz"
    )


def _home() -> Path:
    """Where CIFAR-10 is kept when no path is given."""
    if data := os.environ.get("EDGENET_DATA"):
        return Path(data) / "cifar10"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgenet" / "cifar10"


def _recognized(place: Path) -> bool:
    signs = (ARCHIVE, "labels.npz", "test_batch.bin", "cifar-10-batches-bin", "train")
    return any((place / sign).exists() for sign in signs)


def _dataset(load: Any, note: str = "") -> Dataset:
    splits = {part: ArraySplit(f"cifar10/{part}", partial(load, part)) for part in BATCHES}
    return Dataset("cifar10", LABELS, splits, note)


def _from_archive(archive: Path, part: str) -> tuple[Pixels, NDArray[np.uint8]]:
    """Reads the batches out of the tar file without unpacking it."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if name in BATCHES[part] and (file := tar.extractfile(member)) is not None:
                    found[name] = file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{archive} cannot be read as {ARCHIVE} ({str(error).splitlines()[0].rstrip(':')}); "
            "delete it to download it again"
        ) from error
    for name in BATCHES[part]:
        if name not in found:
            raise DataError(f"{archive} holds no {name}; expected {ARCHIVE} from {URL}")
    return _decode((f"{archive}: {name}", found[name]) for name in BATCHES[part])


def _from_batches(folder: Path, part: str) -> tuple[Pixels, NDArray[np.uint8]]:
    paths = [folder / name for name in BATCHES[part]]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path} is missing; unpack {ARCHIVE} again")
    return _decode((str(path), path.read_bytes()) for path in paths)


def _decode(batches: Iterator[tuple[str, bytes]]) -> tuple[Pixels, NDArray[np.uint8]]:
    """Pixels (N, 32, 32, 3) and labels (N,) of binary batches."""
    pixels, labels = [], []
    for name, content in batches:
        if not content or len(content) % RECORD:
            raise DataError(f"{name} has {len(content)} bytes, not a multiple of {RECORD}")
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
        if records[:, 0].max() >= len(LABELS):
            raise DataError(f"{name} has a label above 9, so it is not CIFAR-10's binary version")
        labels.append(records[:, 0])
        pixels.append(records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
    return np.ascontiguousarray(np.concatenate(pixels)), np.concatenate(labels)


def _from_mosaics(folder: Path, part: str) -> tuple[Pixels, NDArray[np.uint8]]:
    labels = _npz(folder)[part]
    tiles = [_tiles(folder / name) for name in MOSAICS[part]]
    pixels = np.concatenate(tiles)
    if len(pixels) != len(labels):
        raise DataError(
            f"{folder / 'labels.npz'} has {len(labels)} labels for the {len(pixels)} pictures of "
            f"{part}; the files do not belong together"
        )
    return pixels, labels


def _tiles(path: Path) -> Pixels:
    """The pictures of one mosaic, uint8 (10000, 32, 32, 3), row by row."""
    if not path.is_file():
        raise DataError(f"{path} is missing")
    mosaic = image.read_rgb(path)
    if mosaic.shape != (ROWS * SIDE, COLUMNS * SIDE, 3):
        raise DataError(f"{path} is {mosaic.shape[1]}x{mosaic.shape[0]}, not 3200x3200 pixels")
    grid = mosaic.reshape(ROWS, SIDE, COLUMNS, SIDE, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(-1, SIDE, SIDE, 3))


def _npz(folder: Path) -> dict[str, NDArray[Any]]:
    path = folder / "labels.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a .npz file ({error})") from error
    if missing := {"train", "test"} - set(content):
        raise DataError(f"{path} has no {' and no '.join(sorted(missing))} labels")
    return content


def _note(folder: Path) -> str:
    """Says how many mosaic tiles are not the original pixels, where the pack records that."""
    content = _npz(folder)
    wrong = [
        int((~content[f"{part}_exact"]).sum()) for part in BATCHES if f"{part}_exact" in content
    ]
    if not sum(wrong):
        return ""
    return f"{sum(wrong)} of 60000 pictures are lossy re-encodes of the originals"
