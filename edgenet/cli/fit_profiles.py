"""``edgenet fit --calibrate`` and ``--compare``: what profiles of a device are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edgenet.errors import UsageError

if TYPE_CHECKING:
    from edgenet.fit.calibration import Calibration, Seen
    from edgenet.fit.device import Device


def check_alone(ctx: click.Context, word: str, *others: str) -> None:
    """That nothing was typed that would be ignored."""
    named = {param.name: param.opts[0] for param in ctx.command.params}
    for name, option in named.items():
        if (
            name not in (word, *others)
            and ctx.get_parameter_source(str(name)) is ParameterSource.COMMANDLINE
        ):
            raise UsageError(f"{option} does nothing beside {named[word]}; drop one of them")


def read(device: Device, paths: Sequence[Path], clock: str | None) -> list[Seen]:
    """What profiles of a device hold; raises as ``edgenet.fit.measured.read``."""
    from edgenet.fit import measured, units

    hz = None if clock is None else units.hertz(clock)
    return [one for path in paths for one in measured.read(path, device, hz)]


def calibrate(
    device: Device, profiles: Sequence[Path], clock: str | None, file: Path | None
) -> None:
    """Learn a board's speed, keep and show it.

    Raises:
        UsageError: no board is named, or the profiles are too few or of something else.
        RecordError: a file cannot be read or written.
    """
    from edgenet.fit import calibration as calibrations
    from edgenet.report import fit_calibration

    if device.board is None and file is None and device.target.boards():
        raise UsageError(
            f"{device.target.name} is many boards; say with --board which one the profiles are of,"
            " or name a file with --calibration"
        )
    made = calibrations.calibrate(read(device, profiles, clock), device.name)
    place = file or calibrations.folder() / f"{device.name}.json"
    calibrations.save(made, place)
    click.echo(fit_calibration.text(made), nl=False)
    click.echo(f"wrote {place}", err=True)


def compare(
    device: Device, calibration: Calibration | None, seen: Sequence[Seen], *, as_json: bool
) -> None:
    """Show predictions beside what was measured."""
    import msgspec

    from edgenet.fit import compare as comparing
    from edgenet.report import fit_calibration

    rows = comparing.compare(device, calibration, seen)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    else:
        click.echo(fit_calibration.compared(rows, calibration, device.generates), nl=False)
