"""What ``edgenet profile`` does where models run on a microcontroller: it counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.core import ParameterSource

from edgenet.cli.boards import device_of, target_of
from edgenet.errors import UsageError

if TYPE_CHECKING:
    from edgenet.mcu.counting import Counts
    from edgenet.mcu.device import Device

_OPTIONS = ("bundle", "target", "board", "port", "as_json")


def counted(
    ctx: click.Context, folder: Path, target: str | None, board: str | None, port: str | None
) -> Counts | None:
    """What a microcontroller takes for one inference; None where the target is none.

    Raises:
        UsageError: an option of measuring time was typed.
    """
    from edgenet.bundle import Bundle
    from edgenet.mcu import counting

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


def form(counts: Counts, *, as_json: bool) -> str:
    """The record as text or JSON."""
    import msgspec

    from edgenet.report import mcu

    if as_json:
        return msgspec.json.format(msgspec.json.encode(counts), indent=2).decode() + "\n"
    return mcu.text(counts)
