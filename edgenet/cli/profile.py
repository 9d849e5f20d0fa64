"""``edgenet profile``: how fast a bundle runs, here or elsewhere, and in what the time goes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgenet.cli import output
from edgenet.cli.boards import board_options
from edgenet.cli.options import WORDS, Numbers, TargetName, typed
from edgenet.errors import EngineError, RemoteError, UsageError

if TYPE_CHECKING:
    from edgenet.profile.profiles import Profiles
    from edgenet.profile.record import Profile
    from edgenet.report.profile_forms import Forms

# What a record can be reported with; the same, and ``offline``, stays here when another measures.
_REPORTS = ("bundle", "as_json", "csv_file", "html_file", "hosts")


class Threads(Numbers):
    """Numbers of threads, or ``all``: every number from one to all cores."""

    name = "N,N,...|all"

    def __init__(self) -> None:
        super().__init__(int, least=1, most=9999)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if value == "all" else super().convert(value, param, ctx)


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
    type=Threads(),
    help="Threads of the engine, or all for 1, 2, 3 ...  [default: 1, 2, 4, ... to all cores]",
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
@click.option(
    "--sustained",
    "sustained_secs",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Then repeat the best run for so long: burst against sustained.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="USER@HOST",
    help="Measure there, over ssh; may be repeated.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="With --host: carry the packages there from here, for a machine without internet.",
)
@click.option(
    "--stop-service",
    is_flag=True,
    help="Stop edgenet.service where it runs meanwhile; it is started again in any case.",
)
@click.option("--target", type=TargetName(), help="Target to run as.  [default: the bundle's]")
@board_options
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
    hosts: tuple[str, ...],
    target: str | None,
    board: str | None,
    port: str | None,
    **options: Any,
) -> Profile | Profiles | None:
    """Measure how fast each model of BUNDLE runs on this machine, or on others over ssh.

    Each model runs in a fresh process at each number of threads, so that load time and peak memory
    are its own. Every sample is kept, none is clipped. The machine's clock, temperature and
    throttling are sampled meanwhile.

    BUNDLE may also be a record that --json wrote, here or on another machine, to report it again;
    --host then takes machines out of a record of several.

    On a microcontroller it counts: each instruction in QEMU, cycles on a real board (--port).
    """
    from edgenet.cli import counting, measuring
    from edgenet.profile import profiles
    from edgenet.report import profile_forms

    output.check_folders(csv_file, html_file)
    if bundle.is_file():
        _refuse_measuring(ctx, bundle)
    if not hosts:
        counted = counting.counted(ctx, bundle, target, board, port)
        if counted is not None:
            _report(counting.forms(counted), as_json, csv_file, html_file)
            return None
    if bundle.is_file():
        found = _chosen(profiles.read(bundle), hosts, bundle)
    elif hosts:
        words = typed_options(ctx, without=(*_REPORTS, "offline"))
        found = measuring.there(bundle, hosts, options, words)
    elif options["offline"]:
        raise UsageError("--offline is for other machines; name one with --host, or drop it")
    else:
        found = measuring.here(bundle, options, typed(ctx))
    _report(profile_forms.of(found), as_json, csv_file, html_file)
    _judge(found)
    return found


def _report(forms: Forms, as_json: bool, csv_file: Path | None, html_file: Path | None) -> None:
    """Print a record, and save what was asked for."""
    click.echo(forms.json() if as_json else forms.text(), nl=False)
    if csv_file is not None:
        output.save(csv_file, forms.csv())
    if html_file is not None:
        output.save(html_file, forms.page())


def _refuse_measuring(ctx: click.Context, file: Path) -> None:
    """A record is only reported: an option of measuring it would change nothing."""
    for name in ctx.params:
        if name not in _REPORTS and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(param.opts[0] for param in ctx.command.params if param.name == name)
            raise UsageError(f"{file} is a record, which is only reported; drop {option}")


def _chosen(found: Profile | Profiles, hosts: tuple[str, ...], file: Path) -> Profile | Profiles:
    """The machines of a record that ``--host`` names; one alone is a record of its own."""
    from edgenet.profile.profiles import Profiles, choose

    if not hosts:
        return found
    if not isinstance(found, Profiles):
        raise UsageError(f"{file} is the record of one machine; drop --host")
    some = choose(found, hosts, str(file))
    return some.hosts[0].profile or some if len(some.hosts) == 1 else some


def typed_options(ctx: click.Context, *, without: Sequence[str]) -> list[str]:
    """The options as they were typed, for the same command on another machine."""
    values, _, order = ctx.command.make_parser(ctx).parse_args(list(ctx.meta[WORDS]))
    words: list[str] = []
    for param in dict.fromkeys(order):
        if param.name is None or param.name in without:
            continue
        value = values[param.name]
        for one in value if isinstance(value, list) else [value]:
            words += param.opts[:1] if one is True else [param.opts[0], str(one)]
    return words


def _judge(found: Profile | Profiles) -> None:
    """What could not be measured, as the exit code: a missing engine is no failure by itself."""
    from edgenet.profile.profiles import Profiles

    if not isinstance(found, Profiles):
        _judge_one(found, "")
        return
    failed = [one for one in found.hosts if one.profile is None]
    if failed:
        raise RemoteError(
            f"{len(failed)} of {len(found.hosts)} machines were not measured; {failed[0].host}:"
            f" {failed[0].error}"
        )
    for host, profile in found.measured:
        _judge_one(profile, f"{host}: ")


def _judge_one(found: Profile, where: str) -> None:
    broken = [one for one in found.unmeasured if not one.missing]
    if broken or not found.runs:
        first = (broken or list(found.unmeasured))[0]
        total = len(found.unmeasured) + len(found.runs)
        raise EngineError(
            f"{where}{len(found.unmeasured)} of {total} runs were not measured; {first.variant}:"
            f" {first.reason}"
        )
