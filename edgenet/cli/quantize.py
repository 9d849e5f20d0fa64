"""``edgenet quantize``: record a checkpoint's calibration, and say what int8 costs each layer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgenet.cli.calibration import calibration_options
from edgenet.cli.options import data_option, dataset_of
from edgenet.cli.progress import StageProgress


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
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model: Path,
    data: str,
    output: Path | None,
    calib_samples: int,
    calib_method: str,
    seed: int,
    as_json: bool,
) -> None:
    """Calibrate CHECKPOINT for int8 and keep the ranges with it, so that export needs no pictures.

    Prints, on pictures held back from calibration, how close int8 logits are to the float ones.
    """
    with StageProgress() as progress:
        progress("loading torch", 0, 1)
        from edgenet.host import calibration

        progress("loading torch", 1, 1)
        dataset = dataset_of(data, progress=progress)
        assert dataset is not None
        report = calibration.record(
            model,
            output or model,
            calibration.Choice(dataset, calib_samples, seed, calib_method),
            progress=progress,
        )
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(report), indent=2))
        return
    used = report.calibration
    click.echo(f"{output or model}: calibrated with {used.images} pictures of {used.source}")
    click.echo(f"  {report.activations} activation ranges by {used.method}")
    if report.sqnr_db is None or report.agreement is None:
        click.echo(
            "  every training picture was used, so none is left to compare int8 with float on"
        )
        return
    click.echo(
        f"  on {report.held_back} other training pictures int8 logits are {report.sqnr_db:.1f} dB "
        f"from float, the answer is the same on {report.agreement:.1%}"
    )
