"""``edgenet bundle``: bundles of models that edgenet did not train, and of compiled ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli.boards import made_for_option, sram_option
from edgenet.cli.compiled import complete, finished
from edgenet.cli.options import Numbers, TargetName, typed
from edgenet.cli.progress import StageProgress
from edgenet.errors import TargetError, UsageError, nothing_at

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.foreign.given import Given

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="bundle", short_help="Make a bundle of a model that edgenet did not train.")
@click.argument(
    "models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL|BUNDLE..."
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
    help="The bundle's folder.",
)  # fmt: skip
@click.option("--labels", type=_FILE, help="One class a line.  [default: the model's metadata]")
@click.option(
    "--preprocess",
    type=click.Choice(["torch", "tf", "unit", "pixels"]),
    help="What the input's values are: of ImageNet's mean and std (torch), -1 to 1 (tf), 0 to 1"
    " (unit), 0 to 255 (pixels).  [default: the model's metadata, or its quantization]",
)
@click.option("--mean", type=Numbers(float), help="Of pixels of 0 to 1; one value, or R,G,B.")
@click.option("--std", type=Numbers(float), help="Of pixels of 0 to 1; one value, or R,G,B.")
@click.option(
    "--resize",
    type=click.Choice(["stretch", "center-crop", "letterbox"]),
    default="stretch",
    show_default=True,
    help="How a picture is made to fit the input.",
)
@click.option(
    "--background",
    type=click.Choice(["add", "drop"]),
    help="Put a background class before the labels, or leave the first label out.",
)
@click.option("--name", help="Of the bundle.  [default: the model's file]")
@click.option(
    "--target", "target_name", type=TargetName(), help="The device.  [default: pc, or the bundle's]"
)
@made_for_option
@sram_option
@click.option(
    "--compiled", type=_FILE, metavar="FILE",
    help="What edgetpu_compiler made of the int8 .tflite.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the bundle's manifest as JSON.")
@click.pass_context
def command(
    ctx: click.Context, /, models: tuple[Path, ...], output: Path, as_json: bool, **given: Any
) -> None:
    """Make a bundle of .tflite and .onnx files of one classifier, which edgenet did not train.

    Size, layout, types and quantization are read from the files; of several, one each of float and
    int8 and of each format. The models answer golden frames here, which edgenet verify replays on
    the device.

    A BUNDLE in their place gets the model of --compiled, or one that edgetpu_compiler makes here;
    with --target mcu its int8 model as C.
    """
    for path in models:
        if not path.exists():
            raise UsageError(nothing_at(path))
    replaced = output.is_dir() and any(output.iterdir())
    with StageProgress() as progress:
        if any(path.is_dir() for path in models):
            made, said = _extended(ctx, models, output, given)
        else:
            made, said = _made(ctx, models, output, given, progress)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(made.manifest), indent=2))
    else:
        click.echo("\n".join(filter(None, (_summary(made, replaced=replaced), said))))


def _made(
    ctx: click.Context,
    models: tuple[Path, ...],
    output: Path,
    given: dict[str, Any],
    progress: StageProgress,
) -> tuple[Bundle, str]:
    """A bundle of model files."""
    from edgenet import foreign
    from edgenet import target as targets
    from edgenet.edgetpu import compiler
    from edgenet.foreign.preprocess import given_by_name

    wishes = foreign.Wishes(
        labels=foreign.read_labels(given["labels"]) if given["labels"] else None,
        normalization=given_by_name(given["preprocess"], given["mean"], given["std"]),
        resize=given["resize"],
        background=given["background"],
        name=given["name"],
    )
    target = targets.load(given["target_name"] or "pc")
    target.check_board(given["board"], given["sram_budget"])
    found = [foreign.read(path) for path in models]
    if not any(one.variant in target.variants for one in found):
        raise TargetError(
            f"{target.name} runs {', '.join(target.variants)}, not {found[0].variant}, which"
            f" {found[0].path} is"
        )
    if target.on_boards:
        _need_integers(next(one for v in target.variants for one in found if one.variant == v))
    compiled = _compiled(given["compiled"])
    if compiled is not None:
        original = next((one for one in found if one.variant == "int8.tflite"), None)
        if original is None:
            raise UsageError("--compiled needs the int8 .tflite beside it, which it was made of")
        compiler.check_ends(compiled, (original.input,), (original.output,))

    def write(place: Path) -> Bundle:
        bundle = foreign.make(
            found, place, wishes, target=target.name, command=typed(ctx), progress=progress
        )
        return bundle if compiled is None else compiler.add(bundle, compiled, place)

    return finished(target, output, write, board=given["board"], sram_budget=given["sram_budget"])


def _need_integers(model: Given) -> None:
    """Refuse what no C is made of, before anything is run or written."""
    from edgenet.codegen import graph

    graph.read(model.content, str(model.path), elimination=False)


def _extended(
    ctx: click.Context, models: tuple[Path, ...], output: Path, given: dict[str, Any]
) -> tuple[Bundle, str]:
    """A bundle, and the compiled model of its int8 one."""
    from edgenet.bundle import Bundle
    from edgenet.edgetpu import compiler

    if len(models) > 1:
        raise UsageError("give one bundle, or model files alone")
    for name in ("labels", "preprocess", "mean", "std", "background", "name"):
        if given[name] is not None:
            option = next(param.opts[0] for param in ctx.command.params if param.name == name)
            raise UsageError(f"{models[0]} is a bundle, which has its own; drop {option}")
    bundle = Bundle.open(models[0])
    if given["target_name"] is not None or given["board"] is not None:
        return _programmed(bundle, output, given)
    compiled = _compiled(given["compiled"])
    if compiled is None:
        path = bundle.model("int8.tflite")
        if not compiler.available():
            raise UsageError(
                f"{compiler.COMMAND} is not on the PATH; give what it made elsewhere with"
                f" --compiled (edgenet check {models[0]} says how)"
            )
        compiled = compiler.compile(path.read_bytes(), path.name)
    return complete(compiler.add(bundle, compiled, output), (compiler.VARIANT,))


def _programmed(bundle: Bundle, output: Path, given: dict[str, Any]) -> tuple[Bundle, str]:
    """A bundle, and its int8 model as C for a microcontroller."""
    from edgenet import target as targets

    target = targets.load(given["target_name"] or bundle.manifest.target)
    target.check_board(given["board"], given["sram_budget"], bundle=bundle)
    if not target.on_boards:
        raise UsageError(
            f"{bundle.root} is a bundle, and {target.name} makes nothing of one; drop --target"
        )
    return target.complete(bundle, output, board=given["board"], sram_budget=given["sram_budget"])


def _compiled(path: Path | None) -> Any:
    """The model of --compiled; None without one."""
    from edgenet.edgetpu import compiler

    if path is None:
        return None
    if not path.is_file():
        raise UsageError(nothing_at(path))
    return compiler.read(path.read_bytes(), str(path))


def _summary(bundle: Bundle, *, replaced: bool) -> str:
    size = bundle.spec.preprocess
    mean, std = (", ".join(f"{v:.4g}" for v in values) for values in (size.mean, size.std))
    lines = [f"{bundle.root}  for {bundle.manifest.target}: {bundle.manifest.name}"]
    lines += ["  replaced the bundle that was there"] if replaced else []
    for variant in bundle.variants:
        record = bundle.record(variant)
        takes, gives = record.inputs[0], record.outputs[0]
        shape = "x".join(map(str, takes.shape))
        lines.append(
            f"  {variant}  {record.size / 1e3:.0f} kB  takes {takes.dtype} {shape}, gives"
            f" {gives.dtype} {record.answers}"
        )
    lines += [
        f"  {len(bundle.labels)} labels: {', '.join(bundle.labels[:6])}"
        + (", ..." if len(bundle.labels) > 6 else ""),
        f"  a picture is resized by {size.resize}; mean {mean}, std {std}",
    ]
    if bundle.manifest.program is None:
        lines += [
            "Next:",
            f"  edgenet verify {bundle.root}",
            f"  edgenet evaluate {bundle.root} --data DIR",
            f"  edgenet run {bundle.root} --source PICTURES",
        ]
    return "\n".join(lines)
