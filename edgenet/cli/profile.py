"""``edgenet profile``: how fast a bundle runs here, and in what the time goes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli import output
from edgenet.cli.options import Numbers, typed
from edgenet.cli.progress import StageProgress
from edgenet.errors import EngineError, UsageError, unknown

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.profile.record import Profile, Settings
    from edgenet.spec import Variant

_REPORTS = ("bundle", "as_json", "csv_file", "html_file")


class FrameSize(click.ParamType[tuple[int, int]]):
    """Columns and rows of a picture."""

    name = "WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value)
        if not match:
            self.fail(f"{value!r} is not a size in pixels; write columns and rows as 640x480")
        return int(match[1]), int(match[2])


@click.command(short_help="Measure latency and memory.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--variant", "variants", multiple=True, help="Measure this model alone; may be repeated."
)
@click.option(
    "--num-threads",
    type=Numbers(int, least=1, most=9999),
    help="Threads of the engine, one count or several.  [default: 1, 2, 4, ... to all cores]",
)
@click.option(
    "--num-runs", type=click.IntRange(min=1), default=50, show_default=True, help="Least samples."
)
@click.option(
    "--warmup-runs",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Runs before the samples.",
)
@click.option(
    "--min-secs",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Sample for so many seconds at least.",
)
@click.option(
    "--max-secs",
    type=click.FloatRange(min=0, min_open=True),
    default=150.0,
    show_default=True,
    help="Stop sampling after so many seconds.",
)
@click.option(
    "--frame-size",
    type=FrameSize(),
    default="640x480",
    show_default=True,
    help="Pixels of the pictures to preprocess, as from a camera.",
)
@click.option("--op-profile", is_flag=True, help="Time each operator too, in a run of its own.")
@click.option("--json", "as_json", is_flag=True, help="Write the whole record as JSON.")
@click.option("--csv", "csv_file", type=output.REPORT, help="Write the statistics to a CSV file.")
@click.option("--html", "html_file", type=output.REPORT, help="Write a report with plots.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    bundle: Path,
    as_json: bool,
    csv_file: Path | None,
    html_file: Path | None,
    **options: Any,
) -> Profile:
    """Measure how fast each model of BUNDLE runs on this machine.

    Each model runs in a fresh process at each number of threads, so that load time and peak memory
    are its own. Every sample is kept, none is clipped. The machine's clock, temperature and
    throttling are sampled meanwhile.

    BUNDLE may also be a record that --json wrote, here or on another machine, to report it again.
    """
    from edgenet.profile import record
    from edgenet.report import profile_csv, profile_page, profile_text

    output.check_folders(csv_file, html_file)
    if bundle.is_file():
        _refuse_measuring(ctx, bundle)
        found = record.read(bundle)
    else:
        found = _measure(bundle, options, typed(ctx))
    click.echo(record.encode(found) if as_json else profile_text.text(found), nl=False)
    if csv_file is not None:
        output.save(csv_file, profile_csv.text(found))
    if html_file is not None:
        output.save(html_file, profile_page.page(found))
    _judge(found)
    return found


def _refuse_measuring(ctx: click.Context, file: Path) -> None:
    """A record is only reported: an option of measuring it would change nothing."""
    typed = click.core.ParameterSource.COMMANDLINE
    for name in ctx.params:
        if name not in _REPORTS and ctx.get_parameter_source(name) is typed:
            option = next(param.opts[0] for param in ctx.command.params if param.name == name)
            raise UsageError(f"{file} is a record, which is only reported; drop {option}")


def _measure(folder: Path, options: dict[str, Any], command: str) -> Profile:
    from edgenet.bundle import Bundle
    from edgenet.environment import Probe
    from edgenet.profile.measure import measure, sweep

    settings = _settings(options)
    bundle = Bundle.open(folder)
    variants = _variants(bundle, options["variants"])
    probe = Probe()
    with StageProgress() as progress:
        return measure(
            bundle,
            variants=variants,
            threads=sorted(set(options["num_threads"] or ())) or sweep(probe.machine().cores),
            settings=settings,
            command=command,
            probe=probe,
            progress=progress,
        )


def _settings(options: dict[str, Any]) -> Settings:
    from edgenet.profile.record import Settings

    if options["max_secs"] < options["min_secs"]:
        raise UsageError(
            f"--max-secs is {options['max_secs']:g}, below --min-secs {options['min_secs']:g}"
        )
    width, height = options["frame_size"]
    names = ("num_runs", "warmup_runs", "min_secs", "max_secs", "op_profile")
    return Settings(
        **{name: options[name] for name in names}, frame_width=width, frame_height=height
    )


def _variants(bundle: Bundle, wanted: tuple[str, ...]) -> list[Variant]:
    for name in wanted:
        if name not in bundle.variants:
            raise UsageError(unknown("variant", name, bundle.variants))
    return [name for name in bundle.variants if not wanted or name in wanted]


def _judge(found: Profile) -> None:
    """What could not be measured, as the exit code: a missing engine is no failure by itself."""
    broken = [one for one in found.unmeasured if not one.missing]
    if broken or not found.runs:
        first = (broken or list(found.unmeasured))[0]
        total = len(found.unmeasured) + len(found.runs)
        raise EngineError(
            f"{len(found.unmeasured)} of {total} runs were not measured; {first.variant}:"
            f" {first.reason}"
        )
