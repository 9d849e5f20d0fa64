"""Engines, precisions and thread counts of a profile against one another, in one table."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.profile.record import Profile, Run
from edgenet.report import html
from edgenet.report.html import Markup, badge, escape
from edgenet.report.text import table
from edgenet.report.units import ms

CAPTION = "Engines, precisions and threads: median of invoke, milliseconds"
_LEAST_RUNS = 2


def text(profile: Profile) -> list[str]:
    """The table for a terminal; nothing where there is nothing to compare."""
    if len(profile.runs) < _LEAST_RUNS:
        return []
    counts = _counts(profile)
    rows = [
        (
            variant,
            engine(runs[0]),
            *(_plain(_at(runs, count)) for count in counts),
            _scaling(runs),
            _against(profile, runs),
        )
        for variant, runs in _by_variant(profile)
    ]
    lines = table(("variant", "engine", *_heads(counts)), rows, texts=2)
    return [f"{CAPTION.lower()}\n{lines}"]


def markup(profile: Profile) -> str:
    """The table for a page; empty where there is nothing to compare."""
    if len(profile.runs) < _LEAST_RUNS:
        return ""
    counts = _counts(profile)
    rows = [
        (
            variant,
            engine(runs[0]),
            *(_badged(_at(runs, count)) for count in counts),
            _scaling(runs),
            _against(profile, runs),
        )
        for variant, runs in _by_variant(profile)
    ]
    caption = f"{CAPTION}. Scaling is one thread over the best; the last column is float32's best"
    caption += " on the same engine over this model's best."
    return html.table(("variant", "engine", *_heads(counts)), rows, caption=caption, texts=2)


def engine(run: Run) -> str:
    """The engine in a word or two, with the delegate that runs the model."""
    name = {"ai-edge-litert": "LiteRT", "onnxruntime": "ONNX Runtime"}.get(
        run.measured.engine, run.measured.engine
    )
    if run.measured.delegated is None:
        return name
    if run.variant.startswith("int8_edgetpu"):
        return f"{name} (Edge TPU)"
    return f"{name} ({'XNNPACK' if run.measured.delegated else 'no delegate'})"


def _heads(counts: Sequence[int]) -> tuple[str, ...]:
    threads = (f"{count} thread{'s' * (count != 1)}" for count in counts)
    return (*threads, "scaling", "against fp32")


def _counts(profile: Profile) -> list[int]:
    return sorted({run.threads for run in profile.runs})


def _by_variant(profile: Profile) -> list[tuple[str, list[Run]]]:
    names = dict.fromkeys(run.variant for run in profile.runs)
    return [(name, [run for run in profile.runs if run.variant == name]) for name in names]


def _at(runs: Sequence[Run], threads: int) -> Run | None:
    return next((run for run in runs if run.threads == threads), None)


def _plain(run: Run | None) -> str | None:
    if run is None:
        return None
    return f"{ms(_invoke(run))}{' THROTTLED' if run.throttled else ''}"


def _badged(run: Run | None) -> Markup | None:
    if run is None:
        return None
    mark = f" {badge('throttled', 'bad')}" if run.throttled else ""
    return Markup(escape(str(ms(_invoke(run)))) + mark)


def _scaling(runs: Sequence[Run]) -> str | None:
    """How many times as fast the best number of threads is as one."""
    single = _at(runs, 1)
    if single is None or len(runs) < _LEAST_RUNS:
        return None
    return _times(_invoke(single) / _best(runs), runs)


def _against(profile: Profile, runs: Sequence[Run]) -> str | None:
    """How many times as fast a model's best is as float32's best on the same engine."""
    precision, _, form = runs[0].variant.partition(".")
    floating = [run for run in profile.runs if run.variant == f"fp32.{form}"]
    if precision == "fp32" or not floating:
        return None
    return _times(_best(floating) / _best(runs), (*floating, *runs))


def _times(ratio: float, runs: Sequence[Run]) -> str:
    return f"{ratio:.2f}x{' THROTTLED' if any(run.throttled for run in runs) else ''}"


def _best(runs: Sequence[Run]) -> float:
    return min(map(_invoke, runs))


def _invoke(run: Run) -> float:
    return run.stats["invoke"].p50_ms
