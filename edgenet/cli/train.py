"""``edgenet train``: from labelled pictures to a checkpoint."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgenet.cli import trained
from edgenet.cli.options import SEED, data_option, typed
from edgenet.cli.progress import StageProgress
from edgenet.errors import UsageError

if TYPE_CHECKING:
    from edgenet.host.recipe import Recipe
    from edgenet.host.settings import Settings

# A run may go on on another machine; everything else is part of what it computes
FREE_TO_CHANGE = {
    "output", "resume", "accelerator", "devices", "num_nodes", "logger", "cache", "as_json",
}  # fmt: skip


@click.command(name="train")
@data_option("Labelled pictures.")
@click.option(
    "--like",
    metavar="FILE|NAME",
    help="The network that edgenet fit --json recommends, or one such as mobilenet_v1_0.25_96.",
)
@click.option("--arch", metavar="NAME", help="Architecture.  [default: what suits the data]")
@click.option("--alpha", type=float, metavar="X", help="Width multiplier.")
@click.option("--imgsz", type=click.IntRange(8, 2048), metavar="PX", help="Side of the input.")
@click.option(
    "--resize",
    type=click.Choice(["stretch", "center-crop", "letterbox"]),
    help="How a picture is made square.  [default: stretch]",
)
@click.option("--recipe", metavar="NAME|FILE.toml", help="How to learn.  [default: modern]")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one value of the recipe, such as augment.flip=false; repeatable.",
)
@click.option("--epochs", type=click.IntRange(1), help="How often every picture is seen.")
@click.option("--batch-size", type=click.IntRange(1), help="Pictures per step, on all devices.")
@click.option("--lr", type=float, help="Learning rate.  [default: the recipe's, by batch size]")
@click.option("--seed", type=SEED, default=0, show_default=True, metavar="N")
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    help="Start from what this one learned; default is the one that ships with edgenet.",
)
@click.option(
    "--weights",
    metavar="FILE|imagenet",
    help="Start from published weights: a .safetensors or .pth file in torchvision's or timm's "
    "layout, or imagenet, which fetches timm's.",
)
@click.option(
    "--qat",
    is_flag=True,
    help="Train, from --init, what int8 is made of: with int8's rounding in the network.",
)
@click.option("--freeze", metavar="features|N", help="Keep all but the head, or stem and N blocks.")
@click.option(
    "--patience", type=click.IntRange(1), help="Stop after N validations without a better top-1."
)
@click.option(
    "--precision",
    type=click.Choice(["32", "bf16-mixed", "16-mixed"]),
    default="32",
    show_default=True,
    help="Of the arithmetic, in bits.",
)
@click.option("--float16", is_flag=True, help="Store the weights in half the space.")
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="What to train on.",
)
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Per node.")
@click.option("--num-nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines.")
@click.option(
    "--logger",
    type=click.Choice(["tensorboard", "csv", "none"]),
    default="csv",
    show_default=True,
    help="What the curves are written as.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep decoded pictures here, not in memory.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run's folder.",
)
@click.pass_context
def command(ctx: click.Context, /, output: Path, resume: bool, **options: Any) -> None:
    """Train a MobileNet on labelled pictures; the checkpoint is the output folder.

    A killed run goes on with: edgenet train --resume -o DIR
    """
    options["network"] = _network(options)
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    with StageProgress(None if first else io.StringIO()) as progress:
        if resume:
            _refuse_changes(ctx)
        labels = () if resume else _labels(options, progress)
        progress("loading torch", 0, 1)
        from edgenet.cli.training import Terminal
        from edgenet.host.machine import Machine
        from edgenet.host.run import Run
        from edgenet.host.train import train

        progress("loading torch", 1, 1)
        settings = Run(output).recall() if resume else _settings(options, labels)
        outcome = train(
            settings,
            output,
            machine=Machine(
                accelerator=options["accelerator"],
                devices=options["devices"],
                nodes=options["num_nodes"],
                logger=options["logger"],
                cache=options["cache"],
            ),
            resume=resume,
            observer=Terminal(progress),
        )
    if outcome is None:  # another process of this run reports
        return
    if options["as_json"]:
        click.echo(trained.as_json(outcome, typed(ctx)))
    else:
        click.echo(trained.summary(output, settings.data, outcome))


def _refuse_changes(ctx: click.Context) -> None:
    for parameter in ctx.command.params:
        name = parameter.name or ""
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in FREE_TO_CHANGE:
            raise UsageError(
                f"{parameter.opts[0]} cannot change in a run that is resumed; "
                "leave it away, or start a run in another folder"
            )


def _labels(options: dict[str, Any], progress: StageProgress) -> tuple[str, ...]:
    """The classes of the data, once the options make sense beside each other.

    What is wrong with them is said here, since torch takes seconds to load.
    """
    if options["qat"]:
        _check_qat(options)
    elif options["init"] and options["weights"]:
        raise UsageError("--init and --weights are both given; a network starts from one of them")
    network = options["network"]
    from edgenet import architecture
    from edgenet.dataset import open_dataset

    architecture.network(
        network["arch"] or "mobilenet_v1",
        alpha=1 if network["alpha"] is None else network["alpha"],
        classes=2,
    )
    data = _data(options)
    if options["recipe"] is not None:
        _recipe(options, options["recipe"])
    return open_dataset(data, progress=progress).labels


def _settings(options: dict[str, Any], labels: tuple[str, ...]) -> Settings:
    """The run that the options describe; what they leave open, the data decides."""
    if options["qat"]:
        return _qat_settings(options, labels)
    from edgenet.host import checkpoint
    from edgenet.host.settings import Settings, default_recipe, default_spec

    data = options["data"]
    wanted = {**options["network"], "resize": options["resize"]}
    recipe = _recipe(options, default_recipe(data))
    init = checkpoint.named(options["init"]) if options["init"] else None
    return Settings(
        data=data,
        spec=default_spec(
            data,
            labels,
            init=init,
            wanted=wanted,
            weights=options["weights"],
        ),
        recipe=recipe,
        seed=options["seed"],
        init=str(init) if init else None,
        weights=options["weights"],
        freeze=options["freeze"],
        patience=options["patience"],
        precision=options["precision"],
        float16=options["float16"],
    )


# What --qat decides, and why
_QAT_KEEPS = {
    "like": "the network is that of --init",
    "arch": "the network is that of --init",
    "alpha": "the network is that of --init",
    "imgsz": "the network is that of --init",
    "resize": "the network is that of --init",
    "weights": "the weights are those of --init",
    "freeze": "all weights meet int8's rounding",
    "float16": "the float weights are kept as they are, those of int8 in float32",
}


def _check_qat(options: dict[str, Any]) -> None:
    if options["init"] is None:
        raise UsageError(
            "--qat goes on from a trained checkpoint; name it with --init (default is the one "
            "that ships with edgenet)"
        )
    for name, reason in _QAT_KEEPS.items():
        if options[name]:
            raise UsageError(f"--qat: {reason}; drop --{name}")
    if options["precision"] != "32":
        raise UsageError(
            f"--qat: in {options['precision']} sums are coarser than int8's codes; drop --precision"
        )


def _qat_settings(options: dict[str, Any], labels: tuple[str, ...]) -> Settings:
    """The run of ``--qat``."""
    from edgenet.host import checkpoint, qat

    return qat.settings(
        checkpoint.named(options["init"]),
        options["data"],
        labels,
        _recipe(options, qat.RECIPE),
        seed=options["seed"],
        patience=options["patience"],
    )


def _data(options: dict[str, Any]) -> str:
    if options["data"] is None:
        raise UsageError("--data is missing; give digits, cifar10 or a folder of class folders")
    return str(options["data"])


def _recipe(options: dict[str, Any], default: str) -> Recipe:
    from edgenet.host import recipe as recipes

    found = recipes.scaled(
        recipes.load(options["recipe"] or default, options["changes"]),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        lr=options["lr"],
    )
    if found.qat and not options["qat"]:
        raise UsageError("a recipe with a [qat] section is for --qat; add it, or change the recipe")
    return found


def _network(options: dict[str, Any]) -> dict[str, Any]:
    """Architecture, alpha and side: each of its own option, or all of ``--like``."""
    given = {name: options[name] for name in ("arch", "alpha", "imgsz")}
    if options["like"] is None:
        return given
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--like says what the network is; drop --{name}, or drop --like")
    from edgenet.fit import record

    return dict(zip(given, record.like(options["like"]), strict=True))
