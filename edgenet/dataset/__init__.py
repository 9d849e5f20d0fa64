"""Labelled pictures, opened by name: ``digits``, ``cifar10``, or a folder of class folders."""

from __future__ import annotations

from pathlib import Path

from edgenet.dataset.split import Dataset, Example, Progress, Split, hold_out, silent
from edgenet.errors import DataError, nothing_at, unknown

__all__ = ["NAMES", "Dataset", "Example", "Progress", "Split", "hold_out", "open_dataset", "silent"]

NAMES = ("cifar10", "digits")


def open_dataset(source: str, *, progress: Progress | None = None) -> Dataset:
    """Opens a data set; pictures are read later, when they are used.

    Data that does not come split is split in the same way every time.

    Args:
        source: ``digits``, ``cifar10``, ``cifar10:PATH`` (see ``cifar10.open_cifar10``), or a
            folder of class folders, with or without ``train``/``val``/``test`` above them.
        progress: told about a download.

    Raises:
        DataError: the source cannot be used; the message names what is wrong and where.
        MissingPackage: ``digits`` without scikit-learn, or pictures without OpenCV.
    """
    if source == "digits":
        from edgenet.dataset.digits import open_digits

        return open_digits()
    name, colon, place = source.partition(":")
    if name == "cifar10":
        from edgenet.dataset.cifar10 import open_cifar10

        if colon and not Path(place).exists():
            missing = nothing_at(place) if place else "there is no empty path"
            raise DataError(f"{source}: {missing}; name CIFAR-10's place")
        return open_cifar10(Path(place) if colon else None, progress=progress)
    folder = Path(source)
    if not folder.exists():
        names = "" if folder.name != source else f"{unknown('data set', source, NAMES)}; "
        raise DataError(names + nothing_at(source))
    if not folder.is_dir():
        raise DataError(f"{source} is a file; give the folder that holds the class folders")
    from edgenet.dataset.folder import open_folder

    return open_folder(folder)
