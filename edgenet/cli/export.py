"""``edgenet export``: a checkpoint to a bundle for a device."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from edgenet.cli.boards import made_for_option, sram_option
from edgenet.cli.calibration import (
    calibration_options,
    refuse_without_pictures,
    remedied,
    wish_of,
)
from edgenet.cli.compiled import finished
from edgenet.cli.options import TargetName, data_option, dataset_of, typed
from edgenet.cli.progress import StageProgress
from edgenet.errors import UsageError
from edgenet.spec import Quantization, Variant

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.codegen import Report
    from edgenet.host.remedy.wish import Wish
    from edgenet.target import Target


@click.command(name="export")
@click.option("--target", "target_name", type=TargetName(), required=True, help="The device.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    default=Path("default"),
    show_default=True,
    help="Folder that 'edgenet train' wrote, or default: the checkpoint that ships with edgenet.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The bundle's folder.  [default: MODEL-TARGET here]",
)
@data_option("Training pictures to calibrate with.  [default: the checkpoint's own calibration]")
@calibration_options
@click.option(
    "--quantize",
    type=click.Choice(get_args(Quantization)),
    multiple=True,
    help="Make this beside float32; repeatable. none makes float32 alone.  "
    "[default: int8, in the target's formats]",
)
@click.option(
    "--eliminate-channels",
    is_flag=True,
    help="Leave dead channels out of int8.tflite; its answers stay the same, bit for bit.",
)
@made_for_option
@sram_option
@click.option("--json", "as_json", is_flag=True, help="Print the bundle's manifest as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target_name: str,
    model: Path,
    output: Path | None,
    data: str | None,
    calib_samples: int,
    calib_method: str,
    seed: int,
    remedy: str | None,
    max_drift: float | None,
    qat_epochs: int,
    quantize: tuple[Quantization, ...],
    eliminate_channels: bool,
    board: str | None,
    sram_budget: int | None,
    as_json: bool,
) -> None:
    """Write a bundle: the models, labels and golden frames of a checkpoint, for one device."""
    if data is None:
        refuse_without_pictures(ctx)
    wish = wish_of(remedy, max_drift, qat_epochs, data or "")
    with StageProgress() as progress, ExitStack() as stack:
        progress("loading torch", 0, 1)
        from edgenet import target as targets

        target = targets.load(target_name)
        target.check_board(board, sram_budget)
        variants = target.to_export(quantize)
        if wish:
            wish = _possible(wish, target, variants)
        if eliminate_channels and "int8.tflite" not in variants:
            raise UsageError(
                f"--eliminate-channels makes int8.tflite smaller, and the bundle is to hold "
                f"{', '.join(variants)}; leave the option out"
            )

        from edgenet.host import checkpoint
        from edgenet.host import export as exporter
        from edgenet.host.calibration import Choice

        progress("loading torch", 1, 1)
        reports: list[Report] = []
        model = checkpoint.named(model)
        dataset = dataset_of(data, progress=progress)
        output = output or Path(f"{model.resolve().name}-{target.name}")
        replaced = output.is_dir() and any(output.iterdir())

        choice = Choice(dataset, calib_samples, seed, calib_method) if dataset else None
        if choice and wish:
            exporter.check(model, variants)
            model = stack.enter_context(
                remedied(model, choice, wish, as_json=as_json, progress=progress)
            )
            choice = None

        def write(place: Path) -> Bundle:
            return exporter.export(
                model,
                target,
                place,
                calibration=choice,
                quantize=quantize,
                eliminated=reports.append if eliminate_channels else None,
                command=typed(ctx),
                progress=progress,
            )

        bundle, said = finished(target, output, write, board=board, sram_budget=sram_budget)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(bundle.manifest), indent=2))
    else:
        summary = _summary(
            bundle,
            reports,
            replaced=replaced,
            onward=not target.on_boards,
            asked_for=choice.samples if choice else 0,
        )
        click.echo("\n".join(filter(None, (summary, said))))


def _possible(wish: Wish, target: Target, variants: Sequence[Variant]) -> Wish:
    """Remedies whose result the bundle can hold.

    Raises:
        UsageError: nothing of it has ranges, or a remedy was named that the target cannot compute.
    """
    if not any(one.startswith(("int8", "int16x8")) for one in variants):
        raise UsageError(
            f"--remedy is about int8 and int16x8, and the bundle is to hold {', '.join(variants)}; "
            "leave it out"
        )
    whole = target.description.quantize == ("int8",) or "int16x8.tflite" in variants
    return replace(wish, whole=whole)


def _summary(
    bundle: Bundle, reports: list[Report], *, replaced: bool, onward: bool, asked_for: int
) -> str:
    from edgenet.report import elimination

    lines = [f"{bundle.root}  for {bundle.manifest.target}: {bundle.manifest.name}"]
    lines += ["  replaced the bundle that was there"] if replaced else []
    for variant in bundle.variants:
        record = bundle.record(variant)
        takes = record.inputs[0]
        shape = "x".join(map(str, takes.shape))
        lines.append(f"  {variant:<14} {record.size / 1e3:>8.0f} kB  takes {takes.dtype} {shape}")
    lines += [f"  int8.tflite: {elimination.summary(report)}" for report in reports]
    lines += [
        f"  {len(bundle.labels)} labels: {', '.join(bundle.labels[:6])}"
        + (", ..." if len(bundle.labels) > 6 else ""),
    ]
    calibration = bundle.manifest.calibration
    if calibration is not None:
        fewer = f"; {asked_for} were asked for" if calibration.images < asked_for else ""
        lines.append(
            f"  calibrated with {calibration.images} pictures of {calibration.source}"
            f" ({calibration.method}){fewer}"
        )
        if calibration.remedies:
            lines.append(f"  remedies: {', '.join(calibration.remedies)}")
        if calibration.keep_float:
            lines.append(f"  float in int8: {', '.join(calibration.keep_float)}")
    if onward:
        lines += [
            "Next:",
            f"  edgenet verify {bundle.root}",
            f"  edgenet evaluate {bundle.root} --data DIR",
            f"  edgenet profile {bundle.root}",
        ]
    return "\n".join(lines)
