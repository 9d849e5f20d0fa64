"""What ``edgenet profile`` does where models run on a microcontroller: it counts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.core import ParameterSource

from edgenet.cli.boards import device_of, target_of
from edgenet.errors import UsageError

if TYPE_CHECKING:
    from edgenet.mcu.counting import Counts
    from edgenet.mcu.device import Device
    from edgenet.report.profile_forms import Forms

_OPTIONS = ("bundle", "target", "board", "port", "as_json", "csv_file", "html_file")


def counted(
    ctx: click.Context, folder: Path, target: str | None, board: str | None, port: str | None
) -> Counts | None:
    """What a microcontroller takes for one inference; None where the target is none.

    Args:
        ctx: of the command.
        folder: the bundle, or a record that was saved.
        target: a target; None for the bundle's.
        board: a board's name or file.
        port: of a real board.

    Raises:
        RecordError: the record is malformed.
        UsageError: an option of measuring time was typed.
    """
    from edgenet.bundle import Bundle
    from edgenet.mcu import counting

    if folder.is_file():
        return counting.read(folder)
    bundle = Bundle.open(folder)
    if target_of(bundle, target, board, port) is None:
        return None
    for name in ctx.params:
        typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and name not in _OPTIONS:
            option = next(param.opts[0] for param in ctx.command.params if param.name == name)
            raise UsageError(
                f"on a microcontroller edgenet profile counts and takes no times; drop {option}"
            )
    with device_of(bundle, target, board, port) as device:
        return counting.count(cast("Device", device))


def forms(counts: Counts) -> Forms:
    """The record in each form that it is printed or saved in."""
    from edgenet.mcu import counting
    from edgenet.report import mcu, mcu_csv, mcu_page
    from edgenet.report.profile_forms import Forms

    return Forms(
        partial(counting.encode, counts),
        partial(mcu.text, counts),
        partial(mcu_csv.text, counts),
        partial(mcu_page.page, counts),
    )
