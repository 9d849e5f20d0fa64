"""Reports that a command writes to the files its options name."""

from __future__ import annotations

from pathlib import Path

import click

from edgenet.errors import RecordError, UsageError

REPORT = click.Path(dir_okay=False, path_type=Path)


def check_folders(*files: Path | None) -> None:
    """Before anything is measured, that the files can be written.

    Raises:
        UsageError: a folder is missing.
    """
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.absolute().parent}; make it first")


def save(file: Path, text: str) -> None:
    """Write a report whole or not at all, and say so.

    Raises:
        RecordError: the disk refuses.
    """
    from edgenet.files import write_atomic

    try:
        write_atomic(file, text.encode())
    except OSError as error:
        raise RecordError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {file}", err=True)
