"""Label files: one class a line, with or without numbers, with or without a background class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgenet.errors import DataError, UsageError, nothing_at

Background = Literal["add", "drop"]

BACKGROUND = "background"

_NUMBERED = re.compile(r"(\d+)(?:\s*[:,]\s*|\s+)(\S.*)")


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels in a file; numbers in front of all of them are left out where they count from 0.

    Raises:
        DataError: the file cannot be read, is empty, or has an empty line.
    """
    if not path.is_file():
        raise DataError(nothing_at(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return split_labels(text, str(path))


def split_labels(text: str, name: str) -> tuple[str, ...]:
    """The labels of a text, see ``read_labels``.

    Raises:
        DataError: there are none, or a line is empty.
    """
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not lines or lines == [""]:
        raise DataError(f"{name} holds no labels; write one class a line")
    for place, line in enumerate(lines):
        if not line:
            raise DataError(f"{name}: line {place + 1} is empty; write one class a line")
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(found and int(found[1]) == place for place, found in enumerate(numbered)):
        return tuple(found[2] for found in numbered if found)
    return tuple(lines)


def fit(
    labels: Sequence[str], classes: int, background: Background | None, *, model: str
) -> tuple[str, ...]:
    """As many labels as the model has classes.

    TensorFlow's ImageNet models give 1001 values, the first of them "background"; torch's give
    1000, and label files come in both lengths.

    Args:
        labels: as they were found.
        classes: values that the model gives.
        background: ``add`` puts one in front, ``drop`` leaves the first out.
        model: what it is called in sentences.

    Raises:
        UsageError: there are more or fewer.
    """
    found = tuple(labels)
    if background == "add":
        found = (BACKGROUND, *found)
    elif background == "drop":
        found = found[1:]
    if len(found) == classes:
        return found
    sentence = f"{model} gives {classes} values, but there are {len(found)} labels"
    if background is None and classes == len(found) + 1:
        sentence += (
            "; its first value may be a background class, as TensorFlow's ImageNet models have:"
            " add it to the labels with --background add"
        )
    elif background is None and classes == len(found) - 1:
        sentence += (
            f"; the first label, {found[0]!r}, may be a background class that this model does not"
            " have: leave it out with --background drop"
        )
    else:
        sentence += "; give the labels that it was trained with"
    raise UsageError(sentence)
