"""``edgenet quantize``: record a checkpoint's calibration, and say what int8 costs each layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgenet.cli.calibration import calibration_options, demand, told, wish_of
from edgenet.cli.options import data_option, dataset_of
from edgenet.cli.progress import StageProgress
from edgenet.errors import UsageError
from edgenet.report.remedy import RemedyReport

if TYPE_CHECKING:
    from edgenet.dataset import Progress
    from edgenet.host.calibration import CalibrationReport, Choice
    from edgenet.host.robustness import Robustness


@click.command(name="quantize")
@click.argument("model", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@data_option("The pictures that the checkpoint was trained with.", required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the calibrated checkpoint here.  [default: CHECKPOINT itself]",
)
@calibration_options
@click.option(
    "--robustness",
    "robust",
    is_flag=True,
    help="Do it once more with other pictures, and compare top-1 on the evaluation split.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model: Path,
    data: str,
    output: Path | None,
    calib_samples: int,
    calib_method: str,
    seed: int,
    remedy: str | None,
    max_drift: float | None,
    qat_epochs: int,
    robust: bool,
    as_json: bool,
) -> None:
    """Calibrate CHECKPOINT for int8 and keep the ranges with it, so that export needs no pictures.

    Prints, on pictures held back from calibration, how close int8 logits are to the float ones.
    With --remedy, what was done against the difference, and what each remedy gained. A layer that
    the remedy layers keeps float runs on LiteRT and ONNX Runtime, not on a microcontroller or the
    Edge TPU: for those, edgenet export --remedy leaves that remedy out.
    """
    wish = wish_of(remedy, max_drift, qat_epochs, data)
    with StageProgress() as progress:
        progress("loading torch", 0, 1)
        from edgenet.host import calibration, checkpoint

        progress("loading torch", 1, 1)
        if model == checkpoint.DEFAULT and output is None:
            raise UsageError("the checkpoint that ships stays as it is; name another with -o DIR")
        folder = checkpoint.named(model)
        if remedy is None and checkpoint.has_int8(checkpoint.read_record(folder)):
            raise UsageError(
                f"{model} holds weights for int8, which a plain calibration would drop; "
                "say --remedy none if that is meant, and -o DIR to keep this one"
            )
        dataset = dataset_of(data, progress=progress)
        assert dataset is not None
        choice = calibration.Choice(dataset, calib_samples, seed, calib_method)
        output = output or model

        def quantized(some: Choice, place: Path) -> CalibrationReport | RemedyReport:
            if wish is None:
                return calibration.record(folder, place, some, progress=progress)
            from edgenet.host.remedy import ladder

            return ladder.record(folder, place, some, wish, progress=progress)

        if robust:
            calibration.disjoint(choice)  # refused before anything takes time
        report = quantized(choice, output)
        again = _compared(output, choice, quantized, progress) if robust else None
    _tell(report, again, output, asked_for=calib_samples, as_json=as_json)
    if isinstance(report, RemedyReport):
        demand(report, model, data)


def _compared(
    output: Path, choice: Choice, quantized: Callable[[Choice, Path], object], progress: Progress
) -> Robustness:
    from edgenet import target
    from edgenet.host.robustness import robustness

    return robustness(output, choice, quantized, target.load("pc"), progress=progress)


def _tell(
    report: CalibrationReport | RemedyReport,
    again: Robustness | None,
    output: Path,
    *,
    asked_for: int,
    as_json: bool,
) -> None:
    import msgspec

    if as_json:
        content = msgspec.to_builtins(report)
        if again is not None:
            content["robustness"] = msgspec.to_builtins(again)
        click.echo(json.dumps(content, indent=2))
        return
    if isinstance(report, RemedyReport):
        click.echo(f"{output}: {told(report, as_json=False)}")
    else:
        click.echo(_text(report, output, asked_for))
    if again is not None:
        from edgenet.host import robustness

        click.echo(robustness.text(again))


def _text(report: CalibrationReport, output: Path, asked_for: int) -> str:
    used = report.calibration
    fewer = f"; {asked_for} were asked for" if used.images < asked_for else ""
    lines = [
        f"{output}: calibrated with {used.images} pictures of {used.source}{fewer}",
        f"  {report.activations} activation ranges by {used.method}",
    ]
    if report.sqnr_db is None or report.agreement is None:
        lines.append(
            "  every training picture was used, so none is left to compare int8 with float on"
        )
    else:
        lines.append(
            f"  on {report.held_back} other training pictures int8 logits are "
            f"{report.sqnr_db:.1f} dB from float, the answer is the same on {report.agreement:.1%}"
        )
    return "\n".join(lines)
