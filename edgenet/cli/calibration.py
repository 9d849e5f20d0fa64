"""The options of calibration, which export and quantize share."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgenet.bundle.manifest import CALIBRATION_IMAGES
from edgenet.cli.options import SEED
from edgenet.errors import LimitExceeded, UsageError

if TYPE_CHECKING:
    from edgenet.dataset import Progress
    from edgenet.host.calibration import Choice
    from edgenet.host.remedy.wish import Wish
    from edgenet.report.remedy import RemedyReport

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)


def calibration_options(command: FC) -> FC:
    """How many pictures to calibrate with, drawn and used how."""
    for option in (
        click.option(
            "--qat-epochs",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Train with int8's rounding for N epochs as the last remedy.  [default: do not]",
        ),
        click.option(
            "--max-drift",
            type=float,
            metavar="POINTS",
            help="Top-1 that int8 may lose with 95 % confidence.  [default: 1 with --remedy auto]",
        ),
        click.option(
            "--remedy",
            metavar="auto|none|NAME,...",
            help="What to do where int8 hurts: each remedy that helps until --max-drift is met, "
            "none, or those named (docs/remedies.md).  [default: none]",
        ),
        click.option(
            "--seed",
            type=SEED,
            default=0,
            show_default=True,
            metavar="N",
            help="Seed that the pictures are drawn with.",
        ),
        click.option(
            "--calib-method",
            default="minmax",
            show_default=True,
            metavar="minmax|percentile|mse",
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
    names = ("calib_samples", "calib_method", "seed", "remedy", "max_drift", "qat_epochs")
    for name in names:
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"--{name.replace('_', '-')} has no effect on a recorded calibration; drop it, or "
                "calibrate on training pictures with --data"
            )


def wish_of(remedy: str | None, max_drift: float | None, qat_epochs: int, data: str) -> Wish | None:
    """The remedies that were asked for; None for none.

    Raises:
        UsageError: one is unknown, or an option needs one that is missing.
    """
    from edgenet.host.remedy.wish import NONE, Wish

    if remedy in (None, NONE):
        for name, given in (("--max-drift", max_drift), ("--qat-epochs", qat_epochs or None)):
            if given is not None:
                raise UsageError(f"{name} is about remedies; give --remedy auto or their names")
        return None
    assert remedy is not None
    names = tuple(name.strip() for name in remedy.split(","))
    return Wish(names, max_drift, qat_epochs=qat_epochs, data=data)


@contextmanager
def remedied(
    model: Path, choice: Choice, wish: Wish, *, as_json: bool, progress: Progress
) -> Iterator[Path]:
    """A calibrated checkpoint for as long as the block lasts; tells what the remedies gained.

    Raises:
        LimitExceeded: int8 still loses more than it may.
    """
    from edgenet.host.remedy import ladder

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = ladder.record(model, folder, choice, wish, progress=progress)
        if not as_json or report.passed is False:
            click.echo(told(report, as_json=as_json))
        demand(report, model, wish.data)
        yield folder


def told(report: RemedyReport, *, as_json: bool) -> str:
    """The report as JSON or as text."""
    import msgspec

    from edgenet.report import remedy

    return json.dumps(msgspec.to_builtins(report), indent=2) if as_json else remedy.text(report)


def demand(report: RemedyReport, model: Path, data: str) -> None:
    """Refuse a report that did not pass, and say what is left to do.

    Raises:
        LimitExceeded: it did not pass.
    """
    from edgenet.report.remedy import refusal

    if report.passed is False:
        train = f"edgenet train --qat --init {model} --data {data} -o DIR"
        onward = "" if "qat" in report.remedies else f", or train: {train}"
        raise LimitExceeded(f"{refusal(report)}; choose from the table{onward}")
