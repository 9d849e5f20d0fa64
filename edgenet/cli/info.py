"""``edgenet info``: what a MobileNet costs before anybody trains it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from edgenet.architecture import ARCHITECTURES, parse_name
from edgenet.cli.options import Numbers
from edgenet.cost import Configuration
from edgenet.errors import CheckpointError, UsageError, nothing_at
from edgenet.report import cost as report
from edgenet.spec import FOREIGN, ModelSpec

_FAMILIES = f"one of {', '.join(ARCHITECTURES)}"


@click.command(short_help="Count a MobileNet's parameters, multiply-adds and memory.")
@click.argument("model")
@click.option("--alpha", type=float, help="Width multiplier, above 0.  [default: 1]")
@click.option("--imgsz", type=int, help="Side of the input, in pixels.  [default: the family's]")
@click.option("--num-classes", type=int, help="Outputs of the classifier.  [default: the paper's]")
@click.option("--depth-multiplier", type=int, help="Depthwise kernels per channel.  [default: 1]")
@click.option("--alphas", type=Numbers(float), help="Compare these width multipliers: 0.25,0.5,1.")
@click.option("--imgszs", type=Numbers(int), help="Compare these input sides, in pixels: 128,160.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    model: str,
    alpha: float | None,
    imgsz: int | None,
    num_classes: int | None,
    depth_multiplier: int | None,
    alphas: list[float] | None,
    imgszs: list[int] | None,
    as_json: bool,
) -> None:
    """Count the parameters, multiply-adds and memory of MODEL, layer by layer.

    MODEL is a name, such as mobilenet_v1 or mobilenet_v1_0.5_128 (width multiplier and input side),
    or the folder of a checkpoint or a bundle.

    Multiply-adds are for one picture. Memory is that of the int8 model: its weights and biases, and
    the activations that are alive at once, where they are most.
    """
    options = {
        "alpha": alpha,
        "height": imgsz,
        "width": imgsz,
        "classes": num_classes,
        "depth_multiplier": depth_multiplier,
    }
    chosen = _choose(model, {name: value for name, value in options.items() if value is not None})
    if alphas or imgszs:
        found = report.grid_record(chosen, alphas or [], imgszs or [])
        text = report.grid_text
    else:
        found, text = report.record(chosen), report.text
    click.echo(json.dumps(found, indent=2) if as_json else text(found))


def _choose(model: str, options: dict[str, Any]) -> Configuration:
    """The network that ``model`` and the options name together."""
    arch, fixed = _named(model)
    for name, value in options.items():
        if name in fixed and fixed[name] != value:
            raise UsageError(
                f"{model} has {name.replace('_', ' ')} {fixed[name]}, not {value};"
                f" drop the option, or name the family alone: {arch}"
            )
    family = ARCHITECTURES[arch]
    default = {
        "alpha": 1.0,
        "height": family.imgsz,
        "width": family.imgsz,
        "classes": family.classes,
        "depth_multiplier": 1,
    }
    return Configuration(arch=arch, **default | fixed | options)


def _named(model: str) -> tuple[str, dict[str, Any]]:
    """The family, and the numbers that a name or a folder fixes."""
    if Path(model).is_dir():
        spec = _read_spec(Path(model))
        return spec.arch, {
            "alpha": spec.alpha,
            "height": spec.preprocess.height,
            "width": spec.preprocess.width,
            "classes": len(spec.labels),
            "depth_multiplier": spec.depth_multiplier,
        }
    if "/" in model:
        raise UsageError(f"{nothing_at(model)}; name a checkpoint, a bundle or {_FAMILIES}")
    arch, alpha, imgsz = parse_name(model)
    named = {"alpha": alpha, "height": imgsz, "width": imgsz}
    return arch, {name: value for name, value in named.items() if value is not None}


def _read_spec(folder: Path) -> ModelSpec:
    """The spec in a checkpoint's or a bundle's record; nothing else of it is read."""

    class Record(msgspec.Struct):
        spec: ModelSpec

    for name in ("checkpoint.json", "manifest.json"):
        path = folder / name
        if path.is_file():
            try:
                spec = msgspec.json.decode(path.read_bytes(), type=Record).spec
            except (msgspec.DecodeError, OSError) as error:
                raise CheckpointError(f"{path}: not a readable record: {error}") from error
            if spec.arch == FOREIGN:
                raise CheckpointError(
                    f"{path}: edgenet did not train this network and cannot count it; edgenet"
                    " profile measures it"
                )
            if spec.arch not in ARCHITECTURES:
                raise CheckpointError(
                    f"{path}: architecture {spec.arch!r} is not known to this version of edgenet"
                    f" ({', '.join(ARCHITECTURES)})"
                )
            return spec
    raise UsageError(
        f"{folder} has no checkpoint.json and no manifest.json; name a checkpoint, a bundle or"
        f" {_FAMILIES}"
    )
