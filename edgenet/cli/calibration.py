"""The options of calibration, which export and quantize share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from edgenet.bundle.manifest import CALIBRATION_IMAGES
from edgenet.errors import UsageError

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)


def calibration_options(command: FC) -> FC:
    """How many pictures to calibrate with, drawn and used how."""
    for option in (
        click.option(
            "--seed",
            type=int,
            default=0,
            show_default=True,
            help="Seed that the pictures are drawn with.",
        ),
        click.option(
            "--calib-method",
            default="minmax",
            show_default=True,
            metavar="minmax|mse",
            help="How an activation's range is chosen from what was seen.",
        ),
        click.option(
            "--calib-samples",
            type=int,
            default=CALIBRATION_IMAGES,
            show_default=True,
            metavar="N",
            help="Pictures to calibrate with, from the training split.",
        ),
    ):
        command = option(command)
    return command


def refuse_without_pictures(ctx: click.Context) -> None:
    """Refuse a typed option of calibration where the recorded ranges are used: it changes nothing.

    Raises:
        UsageError: one was typed.
    """
    for name in ("calib_samples", "calib_method", "seed"):
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"--{name.replace('_', '-')} has no effect on a recorded calibration; drop it, or "
                "calibrate on training pictures with --data"
            )
