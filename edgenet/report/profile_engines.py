"""Engines, precisions and thread counts of a profile against one another, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgenet.profile.record import Profile, Run
from edgenet.report import html
from edgenet.report.html import Markup, badge, escape
from edgenet.report.text import table
from edgenet.report.units import ms

CAPTION = "Engines, precisions and threads: median of invoke, milliseconds"
_LEAST_RUNS = 2

Cell = Callable[[str, Sequence[Run]], str]


def text(profile: Profile) -> list[str]:
    """The table for a terminal; nothing where there is nothing to compare."""
    if len(profile.runs) < _LEAST_RUNS:
        return []
    lines = table(_heads(profile), _rows(profile, _plain), texts=2)
    return [f"{CAPTION.lower()}\n{lines}"]


def markup(profile: Profile) -> str:
    """The table for a page; empty where there is nothing to compare."""
    if len(profile.runs) < _LEAST_RUNS:
        return ""
    caption = f"{CAPTION}. Scaling is one thread over the best; the last column is float32's best"
    caption += " on the same engine over this model's best."
    return html.table(_heads(profile), _rows(profile, _badged), caption=caption, texts=2)


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


def _heads(profile: Profile) -> tuple[str, ...]:
    threads = (f"{count} thread{'s' * (count != 1)}" for count in _counts(profile))
    return ("variant", "engine", *threads, "scaling", "against fp32")


def _rows(profile: Profile, cell: Cell) -> list[tuple[object, ...]]:
    """A row for each variant; ``cell`` shows a number and marks it where a run was throttled."""
    rows: list[tuple[object, ...]] = []
    for variant in dict.fromkeys(run.variant for run in profile.runs):
        runs = [run for run in profile.runs if run.variant == variant]
        found = [next((run for run in runs if run.threads == n), None) for n in _counts(profile)]
        times = (None if run is None else cell(str(ms(_invoke(run))), [run]) for run in found)
        rows.append(
            (
                variant,
                engine(runs[0]),
                *times,
                _scaling(runs, cell),
                _against(profile, runs, cell),
            )
        )
    return rows


def _counts(profile: Profile) -> list[int]:
    return sorted({run.threads for run in profile.runs})


def _plain(number: str, runs: Sequence[Run]) -> str:
    return f"{number}{' THROTTLED' if any(run.throttled for run in runs) else ''}"


def _badged(number: str, runs: Sequence[Run]) -> Markup:
    mark = f" {badge('throttled', 'bad')}" if any(run.throttled for run in runs) else ""
    return Markup(escape(number) + mark)


def _scaling(runs: Sequence[Run], cell: Cell) -> str | None:
    """How many times as fast the best number of threads is as one."""
    single = next((run for run in runs if run.threads == 1), None)
    if single is None or len(runs) < _LEAST_RUNS:
        return None
    best = min(runs, key=_invoke)
    return cell(f"{_invoke(single) / _invoke(best):.2f}x", [single, best])


def _against(profile: Profile, runs: Sequence[Run], cell: Cell) -> str | None:
    """How many times as fast a model's best is as float32's best on the same engine."""
    precision, _, form = runs[0].variant.partition(".")
    floating = [run for run in profile.runs if run.variant == f"fp32.{form}"]
    if precision == "fp32" or not floating:
        return None
    best, other = min(runs, key=_invoke), min(floating, key=_invoke)
    return cell(f"{_invoke(other) / _invoke(best):.2f}x", [best, other])


def _invoke(run: Run) -> float:
    return run.stats["invoke"].p50_ms
