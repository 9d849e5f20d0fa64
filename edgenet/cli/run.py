"""``edgenet run``: classify pictures with a bundle."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli.options import TargetName
from edgenet.errors import DataError, UsageError, unknown
from edgenet.spec import VARIANTS, Variant

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.runner import Prediction
    from edgenet.target import Target

_NAME_WIDTH = 40
_TIMES_KEPT = 10_000


class VariantName(click.Choice[str]):
    """A variant, with the nearest one named where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in VARIANTS:
            self.fail(unknown("variant", str(value), VARIANTS), param, ctx)
        return str(value)


@click.command(short_help="Classify pictures.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("more", nargs=-1, metavar="")
@click.option(
    "--source",
    required=True,
    metavar="PATH",
    help="A picture, a folder, a quoted glob, a video file, or - for standard input.",
)
@click.option(
    "--variant", type=VariantName(VARIANTS), help="Model to run.  [default: the target's]"
)
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Classes to name for each picture.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Least probability of a class that is named, 0 to 1.",
)
@click.option(
    "--num-threads",
    type=click.IntRange(min=1),
    help="Threads of the engine.  [default: the target's]",
)
@click.option("--target", type=TargetName(), help="Target to run as.  [default: the bundle's]")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
def command(
    bundle: Path,
    more: tuple[str, ...],
    source: str,
    variant: Variant | None,
    top_k: int,
    threshold: float,
    num_threads: int | None,
    target: str | None,
    as_json: bool,
) -> None:
    """Classify pictures with the model in BUNDLE.

    On standard input, each picture (JPEG, PNG, ...) comes after its length: 4 bytes, big-endian.
    A picture that cannot be read is named on standard error and left out.
    """
    from edgenet.bundle import Bundle
    from edgenet.stream.source import open_source

    if more:
        raise UsageError(
            f"unexpected {more[0]!r}; quote a pattern, as in --source '*.jpg', so that the shell"
            " leaves it alone"
        )
    opened = Bundle.open(bundle)
    chosen = _target(opened, target)
    if variant is not None and variant not in opened.variants:
        raise UsageError(f"{bundle}: {unknown('variant', variant, opened.variants)}")
    variant = variant or chosen.choose(opened)
    options: dict[str, Any] = {"variant": variant}
    if num_threads is not None:
        options["threads"] = num_threads

    skipped = 0

    def skip(error: DataError) -> None:
        nonlocal skipped
        skipped += 1
        click.echo(f"skipped {error}", err=True)

    with (
        closing(open_source(source, on_error=skip)) as frames,
        closing(chosen.runner(opened, **options)) as runner,
        tempfile.TemporaryDirectory() as workdir,
    ):
        runner.prepare(Path(workdir))
        show = _as_json if as_json else _as_row
        count, times = 0, deque[Mapping[str, float]](maxlen=_TIMES_KEPT)
        for prediction in runner.run(frames):
            count += 1
            click.echo(show(prediction, opened.labels, _top(prediction, top_k, threshold)))
            times.append(prediction.stage_ms)
    if not count:
        raise DataError(f"no picture could be classified; skipped {skipped}")
    if not as_json:
        click.echo(_summary(count, times, variant, skipped), err=True)


def _target(bundle: Bundle, wanted: str | None) -> Target:
    from edgenet import target

    name = bundle.manifest.target
    if wanted is None and name not in target.names():
        raise UsageError(
            f"{bundle.root} is for the target {name!r}, which is not installed here; name one"
            f" with --target ({', '.join(target.names())}, or a target's folder)"
        )
    return target.load(wanted or name)


def _top(prediction: Prediction, top_k: int, threshold: float) -> list[tuple[int, float]]:
    """Classes and probabilities, the most probable first; of equal ones the first class."""
    import numpy as np

    from edgenet.stream.classify import probabilities

    found = probabilities(prediction.logits)
    order = np.argsort(-found, kind="stable")[:top_k]
    return [(int(i), float(found[i])) for i in order if found[i] >= threshold]


def _as_json(prediction: Prediction, labels: tuple[str, ...], top: list[tuple[int, float]]) -> str:
    return json.dumps(
        {
            "name": prediction.name,
            "frame": prediction.frame,
            "top": [
                {"class": index, "label": labels[index], "probability": round(probability, 6)}
                for index, probability in top
            ],
            "stage_ms": {stage: round(ms, 4) for stage, ms in prediction.stage_ms.items()},
        }
    )


def _as_row(prediction: Prediction, labels: tuple[str, ...], top: list[tuple[int, float]]) -> str:
    name = click.format_filename(prediction.name)
    if len(name) > _NAME_WIDTH:
        name = "…" + name[-_NAME_WIDTH + 1 :]
    width = max(map(len, labels))
    cells = [f"{labels[index]:<{width}} {probability:>6.1%}" for index, probability in top]
    return "  ".join([f"{name:<{_NAME_WIDTH}}", *(cells or ["-"])])


def _summary(count: int, times: Sequence[Mapping[str, float]], variant: str, skipped: int) -> str:
    stages = {stage: statistics.median(t[stage] for t in times) for stage in times[0]}
    parts = ", ".join(f"{stage} {ms:.2f}" for stage, ms in stages.items())
    total = statistics.median(sum(t.values()) for t in times)
    left_out = f", {skipped} skipped" if skipped else ""
    plural = "" if count == 1 else "s"
    return f"{count} picture{plural} with {variant}{left_out}: median {total:.2f} ms ({parts})"
