"""A folder of class folders, each holding the pictures of one class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgenet.dataset.split import SPLIT_SEED, Dataset, FileSplit, Split, hold_out
from edgenet.errors import DataError

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
HELD_OUT = 0.2


def open_folder(root: Path) -> Dataset:
    """Opens ``root/<class>/**/<picture>`` or ``root/{train,val,test}/<class>/**/<picture>``.

    Classes and pictures are ordered by name.  Where no part is set aside, a fifth of every class
    is, the same one every time.  Hidden files and files that are not pictures are passed over.
    A class of ``train`` may be missing elsewhere; the data set's note says so.

    Raises:
        DataError: there is no class folder, only one, or one without pictures; named in
            the message.
    """
    parts = _split_folders(root)
    if not parts:
        labels = _class_names(root)
        first, held = hold_out(_read(root, root, labels), HELD_OUT, SPLIT_SEED, source=str(root))
        return Dataset(root.resolve().name, labels, {"train": first, "val": held})
    if "train" not in parts:
        raise DataError(f"{root} has {', '.join(sorted(parts))}/ but no train/ folder; add one")
    labels = _class_names(parts["train"])
    splits: dict[str, Split] = {
        part: _read(root, folder, labels) for part, folder in sorted(parts.items())
    }
    if len(splits) == 1:
        splits["train"], splits["val"] = hold_out(
            splits["train"], HELD_OUT, SPLIT_SEED, source=str(root)
        )
    return Dataset(root.resolve().name, labels, splits, note=_missing(labels, splits))


def _split_folders(root: Path) -> dict[str, Path]:
    """The folders of ``root`` that are splits, or none where its folders are classes.

    A class may be called ``test``: folders are splits only if ``train`` is among them or if no
    other folder is there.
    """
    folders = _subfolders(root)
    parts: dict[str, Path] = {}
    for folder in folders:
        part = SPLIT_NAMES.get(folder.name.lower())
        if part is None:
            continue
        if part in parts:
            raise DataError(f"{root} has both {parts[part].name}/ and {folder.name}/; keep one")
        parts[part] = folder
    return parts if "train" in parts or len(parts) == len(folders) else {}


def _class_names(root: Path) -> tuple[str, ...]:
    names = tuple(folder.name for folder in _subfolders(root))
    if not names:
        raise DataError(f"{root} has no class folders; expected {root}/<class>/<picture>")
    if len(names) == 1:
        raise DataError(f"{root} has one class, {names[0]!r}; a classifier needs at least two")
    return names


def _read(root: Path, folder: Path, labels: tuple[str, ...]) -> FileSplit:
    """One split: every picture below ``folder``'s class folders."""
    strangers = {child.name for child in _subfolders(folder)} - set(labels)
    if strangers:
        raise DataError(
            f"{folder / min(strangers)} is a class that {root / 'train'} does not have; "
            "every split must use the classes of train/"
        )
    paths: list[Path] = []
    targets: list[int] = []
    for label, name in enumerate(labels):
        pictures = pictures_below(folder / name)
        if not pictures and (folder / name).is_dir():
            raise DataError(
                f"{folder / name} holds no pictures ({' '.join(sorted(SUFFIXES))}); "
                "add some or remove the folder"
            )
        paths += pictures
        targets += [label] * len(pictures)
    if not paths:
        raise DataError(f"{folder} has no class folders; expected {folder}/<class>/<picture>")
    return FileSplit(root, tuple(paths), np.asarray(targets, np.int64))


def _missing(labels: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    """Which classes a split lacks; empty when none."""
    parts = []
    for name, split in splits.items():
        held = set(split.targets.tolist())
        lacking = [repr(label) for n, label in enumerate(labels) if n not in held]
        if lacking:
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            parts.append(f"{name} has no pictures of {', '.join(lacking[:3])}{more}")
    return "; ".join(parts)


def pictures_below(folder: Path) -> list[Path]:
    """The picture files in a folder and its subfolders, sorted; hidden ones are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not is_hidden(path.relative_to(folder))
        and path.is_file()
    )


def is_hidden(path: Path) -> bool:
    """Whether a file, or a folder on the relative ``path`` to it, starts with a dot."""
    return any(part.startswith(".") for part in path.parts)


def _subfolders(root: Path) -> list[Path]:
    return sorted(
        child
        for child in root.iterdir()
        if child.is_dir() and not child.name.startswith((".", "__"))
    )
