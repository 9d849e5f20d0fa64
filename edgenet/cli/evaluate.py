"""``edgenet evaluate``: accuracy of every variant, and what int8 changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgenet.cli import output
from edgenet.cli.boards import board_options, device_of
from edgenet.cli.options import SEED, TargetName, data_option
from edgenet.cli.progress import StageProgress
from edgenet.errors import LimitExceeded

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.drift.record import DriftReport


@click.command(short_help="Measure accuracy and the drift of quantization.")
@click.argument("bundle", type=click.Path(path_type=Path))
@data_option("Labelled pictures; its test split, or val where there is none.", required=True)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="VARIANT",
    help="Evaluate this variant, such as int8.tflite; repeatable.  [default: all that run here]",
)
@click.option(
    "--target", type=TargetName(), help="Target whose limits hold.  [default: the bundle's]"
)
@board_options
@click.option(
    "--limit",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Demand this beside the target's limits, or in their place; repeatable. "
    "A broken limit ends with exit code 3.",
)
@click.option(
    "--max-images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Draw this many pictures.  [default: all]",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    metavar="N",
    help="Seed that they are drawn with.",
)
@click.option("--layers", is_flag=True, help="Compare int8 with fp32 layer by layer.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Pictures to work on at the same time.  [default: one a core]",
)
@click.option("--record", is_flag=True, help="Keep a summary in the bundle's manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--csv", "csv_file", type=output.REPORT, help="Write one row for each variant.")
@click.option("--html", "html_file", type=output.REPORT, help="Write a page of one file.")
def command(
    bundle: Path,
    data: str,
    variants: tuple[str, ...],
    target: str | None,
    board: str | None,
    port: str | None,
    settings: tuple[str, ...],
    max_images: int | None,
    seed: int,
    layers: bool,
    workers: int | None,
    record: bool,
    as_json: bool,
    csv_file: Path | None,
    html_file: Path | None,
) -> DriftReport:
    """Measure the accuracy of BUNDLE's variants and how far they drift from fp32.

    Every variant answers the same pictures. Differences to fp32 come with a 95 % interval and an
    exact McNemar test; docs/quantization.md says what each number means.

    Limits are the target's, and --limit's: top1 and agreement are shares of 1, top1_drop,
    class_drop and confidence_change are percentage points, snr_db and layer_snr_db decibels.
    """
    from edgenet.bundle import Bundle, amend
    from edgenet.dataset import open_dataset
    from edgenet.drift import limits
    from edgenet.drift.evaluate import Options, evaluate
    from edgenet.drift.record import summary
    from edgenet.report import drift
    from edgenet.spec import FOREIGN

    wanted = limits.parse(settings)
    output.check_folders(csv_file, html_file)
    opened = Bundle.open(bundle)
    usual = _of_target(opened, target)
    with device_of(opened, target, board, port) as device, StageProgress() as progress:
        options = Options(
            variants=variants or (() if device is None else (device.variant,)),
            max_images=max_images,
            seed=seed,
            layers=layers or "layer_snr_db" in {**usual, **wanted},
            workers=workers,
            device=device,
        )
        dataset = open_dataset(data, progress=progress)
        report = evaluate(opened, dataset, options, progress)
    if opened.spec.arch == FOREIGN:
        usual = _judgeable(report, usual, wanted)
    report = limits.judge(report, {**usual, **wanted})
    click.echo(_json(report) if as_json else drift.as_text(report))
    _write(report, csv_file, html_file)
    if record:
        amend(opened, drift=summary(report))
    if report.violations:
        raise LimitExceeded("; ".join(violation.message for violation in report.violations))
    return report


def _of_target(bundle: Bundle, wanted: str | None) -> dict[str, float]:
    """The limits of a target, else of the bundle's; none, with a warning, if that is not known."""
    from edgenet import target
    from edgenet.drift import limits

    name = bundle.manifest.target
    if wanted is None and name not in target.names():
        click.echo(
            f"warning: target {name!r} is not known here, nor are its limits; "
            "give its folder with --target",
            err=True,
        )
        return {}
    found = target.load(wanted or name)
    return limits.of_target(found.limits, source=str(found.folder / "target.toml"))


def _judgeable(
    report: DriftReport, usual: dict[str, float], wanted: dict[str, float]
) -> dict[str, float]:
    """The target's limits, less those that compare with a float model that there never was."""
    from edgenet.drift.limits import LIMITS

    values = {name: [LIMITS[name].value(one) for one in report.results] for name in usual}
    left = [name for name in usual if name not in wanted and set(values[name]) == {None}]
    if report.reference is None and left:
        click.echo(
            f"warning: the bundle has no fp32 model to compare with; the target's limits"
            f" {', '.join(left)} are not judged",
            err=True,
        )
        return {name: bound for name, bound in usual.items() if name not in left}
    return usual


def _json(report: DriftReport) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _write(report: DriftReport, csv_file: Path | None, html_file: Path | None) -> None:
    from edgenet.report import drift, drift_page

    if csv_file is not None:
        output.save(csv_file, drift.as_csv(report))
    if html_file is not None:
        output.save(html_file, drift_page.as_html(report))
