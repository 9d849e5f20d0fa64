"""``edgenet run``: classify what a camera, a file or another program shows."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli import run_options
from edgenet.cli.sections import Sections
from edgenet.errors import DataError, SourceError, UsageError, unknown

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.cli.rows import LiveLine, Rows
    from edgenet.runner import Runner, Source
    from edgenet.spec import Preprocess
    from edgenet.stream.grabber import Grabber
    from edgenet.stream.result import Sink
    from edgenet.stream.sinks import Setting
    from edgenet.stream.statistics import Statistics
    from edgenet.stream.stop import Stop
    from edgenet.target import Target

_SUMMARY_WINDOW = 10_000


@click.command(
    cls=Sections, sections=run_options.SECTIONS, short_help="Classify pictures or a camera."
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("more", nargs=-1, metavar="")
@click.option(
    "--source",
    envvar=run_options.SOURCE,
    required=True,
    metavar="SOURCE",
    help="A camera (picam, 0, /dev/video0), rtsp:// or http://, fake, a picture, a folder, a"
    " quoted glob, a video file, or - for standard input.",
)
@run_options.MODEL
@run_options.ANSWER
@run_options.JSON
@run_options.RESULTS
@run_options.VIEW
@run_options.END
@click.pass_context
def command(
    ctx: click.Context, /, bundle: Path, more: tuple[str, ...], source: str, **given: Any
) -> None:
    """Classify pictures, or what a camera sees, with the model in BUNDLE.

    Of a camera the newest frame is classified and those that came meanwhile are dropped. Ctrl-C or
    SIGTERM ends the loop; docs/live.md and docs/sinks.md say more.

    On standard input, each picture (JPEG, PNG, ...) comes after its length: 4 bytes, big-endian.
    A picture that cannot be read is named on standard error and left out.
    """
    from edgenet.bundle import Bundle
    from edgenet.stream.stop import Stop

    if more:
        raise UsageError(
            f"unexpected {more[0]!r}; quote a pattern, as in --source '*.jpg', so that the shell"
            " leaves it alone"
        )
    _check_view(ctx, given)
    if source == "-" and given["streams"] is not None:
        # a thread that waits for standard input cannot be ended
        raise UsageError("standard input is read a picture at a time; leave --streams out")
    with Stop(max_frames=given["max_frames"], duration_s=given["duration"]) as stop:
        _run(Bundle.open(bundle), source, given, stop)
    if stop.signal == signal.SIGINT:
        ctx.exit(128 + signal.SIGINT)


def _run(bundle: Bundle, source: str, given: dict[str, Any], stop: Stop) -> None:
    from edgenet.cli import rows
    from edgenet.stream import loop
    from edgenet.stream.decide import Decide
    from edgenet.stream.sinks import to_stdout
    from edgenet.stream.source import is_live
    from edgenet.stream.statistics import WINDOW, Statistics

    live = is_live(source)
    statistics = Statistics(WINDOW if live else _SUMMARY_WINDOW)
    texts = (*(("json",) if given["as_json"] else ()), *given["sinks"])
    shown = not any(map(to_stdout, texts))
    show: Rows | LiveLine = (
        rows.LiveLine(bundle.labels, statistics, shown=shown) if live else rows.Rows(bundle.labels)
    )
    skipped: list[DataError] = []
    target = _target(bundle, given["target"])
    chosen = _chosen(bundle, given)
    answer = {name: given[name] for name in ("top_k", "threshold", "smooth")}
    with ExitStack() as opened:
        runner = opened.enter_context(_prepared(target, bundle, chosen))
        for note in getattr(runner, "notes", ()):
            show.say(note)
        ahead = _fits_ahead(runner, bundle)
        frames = _frames(source, given["give_up"], show, statistics, skipped, ahead)
        opened.callback(frames.close)
        model = getattr(runner, "variant", bundle.manifest.name)
        setting = _setting(bundle, statistics, show, given["threshold"])
        sinks = _sinks(texts, setting, given, opened)
        if shown:
            sinks.insert(0, show)
            opened.callback(show.close)
        decide = Decide(bundle.labels, **answer)
        loop.run(frames, runner.run, decide, sinks, statistics=statistics, stop=stop)
    found = statistics.snapshot()
    if found.frames and shown:
        show.say(rows.summary(found, model, live=live, skipped=len(skipped)))
    elif not found.frames and stop.signal is None:
        if live:
            raise SourceError("no frame came before the loop was to end")
        raise DataError(f"no picture could be classified; skipped {len(skipped)}")


def _fits_ahead(runner: Runner, bundle: Bundle) -> Preprocess | None:
    """What live frames are fitted to while the model runs, where a core is left for that."""
    from edgenet.environment import usable_cores

    return bundle.spec.preprocess if usable_cores() > getattr(runner, "busy_cores", 1) else None


def _frames(
    source: str,
    give_up_s: float,
    show: Rows | LiveLine,
    statistics: Statistics,
    skipped: list[DataError],
    ahead: Preprocess | None,
) -> Source | Grabber:
    from edgenet.stream.source import open_frames

    def skip(error: DataError) -> None:
        skipped.append(error)
        show.say(f"skipped {error}")

    def lost(event: str) -> None:
        statistics.note(event)
        show.say(event)

    return open_frames(
        source, on_error=skip, on_event=show.say, on_lost=lost, give_up_s=give_up_s, ahead=ahead
    )


def _target(bundle: Bundle, wanted: str | None) -> Target:
    from edgenet import target

    name = bundle.manifest.target
    if wanted is None and name not in target.names():
        raise UsageError(
            f"{bundle.root} is for the target {name!r}, which is not installed here; name one"
            f" with --target ({', '.join(target.names())}, or a target's folder)"
        )
    return target.load(wanted or name)


def _chosen(bundle: Bundle, given: dict[str, Any]) -> dict[str, Any]:
    """What was said of the model; the target's runner decides the rest."""
    variant = given["variant"]
    if variant is not None and variant not in bundle.variants:
        raise UsageError(f"{bundle.root}: {unknown('variant', variant, bundle.variants)}")
    chosen = {name: given[name] for name in ("variant", "streams", "backend", "board", "port")}
    chosen["threads"] = given["num_threads"]
    return {name: value for name, value in chosen.items() if value is not None}


@contextmanager
def _prepared(target: Target, bundle: Bundle, chosen: dict[str, Any]) -> Iterator[Runner]:
    with (
        closing(target.runner(bundle, **chosen)) as runner,
        tempfile.TemporaryDirectory() as workdir,
    ):
        runner.prepare(Path(workdir))
        yield runner


def _setting(
    bundle: Bundle, statistics: Statistics, show: Rows | LiveLine, threshold: float
) -> Setting:
    from edgenet.stream.result import UNKNOWN
    from edgenet.stream.sinks import Setting

    return Setting(
        labels=(*bundle.labels, *((UNKNOWN,) if threshold else ())),
        model=bundle.manifest.name,
        statistics=statistics,
        stdout=sys.stdout.buffer,
        say=show.say,
    )


def _sinks(
    texts: tuple[str, ...], setting: Setting, given: dict[str, Any], opened: ExitStack
) -> list[Sink]:
    from edgenet.stream.notify import Notifier
    from edgenet.stream.sinks import open_sinks
    from edgenet.stream.sinks.action import open_action

    sinks = open_sinks(texts, setting, opened)

    def add(sink: Sink) -> None:
        opened.callback(sink.close)
        sinks.append(sink)

    for text in given["actions"]:
        add(open_action(text, setting.labels, say=setting.say, interval_s=given["on_interval"]))
    if given["metrics"] is not None:
        from edgenet.stream.sinks.metrics import MetricsServer

        host, port = given["metrics"]
        metrics = MetricsServer(setting.statistics, host=host, port=port)
        add(metrics)
        setting.say(f"metrics: {metrics.url}")
    if given["view"]:
        add(_view(setting, given))
    add(Notifier())
    return sinks


def _check_view(ctx: click.Context, given: dict[str, Any]) -> None:
    if not given["view"]:
        for name in ("view_host", "view_port", "view_token"):
            if given[name] is not None:
                raise UsageError(f"--{name.replace('_', '-')} needs --view")


def _view(setting: Setting, given: dict[str, Any]) -> Sink:
    from edgenet import view
    from edgenet.environment import Probe
    from edgenet.stream.sinks.secret import secret

    file = given["view_token"]
    found = view.serve(
        setting.statistics,
        labels=setting.labels,
        host=given["view_host"] or view.HOST,
        port=view.PORT if given["view_port"] is None else given["view_port"],
        token=file.read().strip() if file is not None else secret(run_options.VIEW_TOKEN),
        environment=Probe(),
    )
    setting.say(f"view: {found.url}")
    return found
