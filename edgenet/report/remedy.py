"""What remedies gained, as a record and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from edgenet.bundle import Calibration
from edgenet.drift.record import Change, Share
from edgenet.drift.significance import paired_difference
from edgenet.report.text import table

MAX_DRIFT = 1.0
"""Points of top-1 that ``auto`` lets int8 lose, unless told otherwise."""

REMEDIES: Mapping[str, str] = {
    "percentile": "activation ranges without the rarest 0.01 % of values",
    "mse": "activation ranges of the least mean square error",
    "equalize": "cross-layer equalization of channels",
    "bias": "empirical bias correction",
    "rounding": "AdaRound: weights rounded for their layer's output",
    "layers": "the worst layers stay float",
    "qat": "quantization-aware training",
}
"""Every remedy, in the order in which they are tried."""


class Score(msgspec.Struct, frozen=True):
    """A model against the float network, on the pictures held back.

    Attributes:
        top1: how top-1 moved.
        agreement: pictures to which both give the same class.
        snr_db: of the logits, in dB; None if all are equal.
        divergence: Kullback-Leibler divergence of its probabilities from the float network's, in
            nats, the mean of all pictures; 0 is equal.
        latency_ms: median of one picture, on LiteRT with one thread, on the machine of the report.
        bytes: of the .tflite file.
    """

    top1: Change
    agreement: Share
    snr_db: float | None
    divergence: float
    latency_ms: float
    bytes: int


class Step(msgspec.Struct, frozen=True):
    """One remedy that was tried.

    Attributes:
        name: a key of ``REMEDIES``, or ``plain``.
        note: what it found.
        score: of int8 with it and with all that were kept before it.
        gain: by how much it lowers the divergence, in nats, and the 95 % interval of that; None of
            ``plain``, and of a remedy that found nothing to do.
        kept: whether what follows is built on it.
    """

    name: str
    note: str
    score: Score
    gain: tuple[float, float, float] | None
    kept: bool


class Option(msgspec.Struct, frozen=True):
    """A way to run this network.

    Attributes:
        name: of the model.
        score: None of fp32, which the others are compared with.
        latency_ms: as in ``Score``.
        bytes: as in ``Score``.
        front: whether no other option is at least as good in drift, latency and size, and better
            in one of them.
    """

    name: str
    score: Score | None
    latency_ms: float
    bytes: int
    front: bool


class RemedyReport(msgspec.Struct, frozen=True):
    """What was done against drift, and what it gained.

    Attributes:
        calibration: pictures that ranges, biases and rounding come from.
        held_back: other training pictures, which everything here was measured on.
        seed: that both were drawn with.
        steps: in the order in which they were tried, ``plain`` first.
        remedies: that are applied.
        keep_float: layers that stay float.
        max_drift: points of top-1 that int8 may lose; None where nothing was demanded, or where
            ``auto`` had too few pictures to show its own limit.
        passed: whether it loses at most that with 95 % confidence; None where nothing was demanded.
        options: where it does not: all that could be run instead.
        machine: that latencies are of.
        asked_for: how many calibration pictures were; fewer were used where that would not have
            left a third of all to measure on.
    """

    calibration: Calibration
    held_back: int
    seed: int
    steps: tuple[Step, ...]
    remedies: tuple[str, ...]
    keep_float: tuple[str, ...]
    max_drift: float | None
    passed: bool | None
    options: tuple[Option, ...]
    machine: str
    asked_for: int = 0

    @property
    def score(self) -> Score:
        """Of what was kept."""
        return next(step.score for step in reversed(self.steps) if step.kept)


def text(report: RemedyReport) -> str:
    """The report for a terminal."""
    used = report.calibration
    lines = [
        f"calibrated with {used.images} pictures of {used.source}, measured on "
        f"{report.held_back} others (seed {report.seed})",
        *_of_few(report),
        table(
            ["remedy", "top-1", "95 % interval", "agreement", "SQNR", "divergence", "", "", ""],
            _rows(report.steps),
        ),
        f"applied: {', '.join(report.remedies) or 'nothing'}",
    ]
    if report.keep_float:
        lines.append(
            f"float: {', '.join(report.keep_float)}; so not for microcontrollers and the Edge TPU, "
            "which compute in int8 alone"
        )
    if report.max_drift is not None and report.passed:
        lines.append(
            f"int8 loses at most {report.max_drift:g} points of top-1, with 95 % confidence"
        )
    if report.options:
        lines += [
            "",
            f"drift against latency and size, on this machine ({report.machine}; LiteRT, 1 thread; "
            "* on the Pareto front):",
            table(
                ["model", "top-1", "agreement", "latency", "size", ""],
                [_choice(option) for option in report.options],
            ),
        ]
    return "\n".join(lines)


def least_drift(pictures: int) -> float:
    """The smallest loss of top-1, in points, that so many pictures can rule out at 95 %."""
    return -100 * paired_difference(0, 0, pictures)[0]


def _of_few(report: RemedyReport) -> Iterator[str]:
    """What is otherwise where pictures are few."""
    used, held_back = report.calibration.images, report.held_back
    if used < report.asked_for:
        yield f"{report.asked_for} were asked for; a third of all is held back to measure on"
    least = least_drift(held_back)
    if report.max_drift is None and least > MAX_DRIFT:
        yield (
            f"{held_back} pictures cannot show that int8 loses less than {least:.1f} points of "
            "top-1, so no limit is set"
        )


def refusal(report: RemedyReport) -> str:
    """The sentence of a report that did not pass."""
    top1 = report.score.top1
    assert report.max_drift is not None
    least = least_drift(report.held_back)
    few = f"; so few pictures cannot show less than {least:.2f}" if least > report.max_drift else ""
    return (
        f"int8 moves top-1 by {100 * top1.value:+.2f} points on {report.held_back} training "
        f"pictures, with 95 % confidence it loses at most {-100 * top1.low:.2f}, and --max-drift "
        f"is {report.max_drift:g}{few}"
    )


def _rows(steps: Sequence[Step]) -> Iterator[list[str]]:
    base: Score | None = None
    for step in steps:
        score = step.score
        verdict = "kept" if step.kept else "left out"
        if base is None:
            verdict = gained = ""
        elif step.gain is None:
            verdict, gained = "nothing to do", ""
        else:
            gained = _gained(score, base)
        figures = (*_drift(score), _db(score), f"{score.divergence:.2g}")
        yield [step.name, *figures, verdict, gained, step.note]
        base = score if step.kept else base


def _gained(score: Score, base: Score) -> str:
    """Against what it was built on: points of top-1, points of agreement, dB."""
    points = 100 * (score.top1.value - base.top1.value)
    same = 100 * (score.agreement.value - base.agreement.value)
    known = score.snr_db is not None and base.snr_db is not None
    db = f", {score.snr_db - base.snr_db:+.1f} dB" if known else ""  # type: ignore[operator]
    return f"gained {points:+.2f} top-1, {same:+.2f} agreement{db}"


def _drift(score: Score) -> tuple[str, str, str]:
    top1 = score.top1
    interval = f"{100 * top1.low:+.2f} to {100 * top1.high:+.2f}"
    return f"{100 * top1.value:+.2f}", interval, f"{score.agreement.value:.2%}"


def _db(score: Score) -> str:
    return "equal" if score.snr_db is None else f"{score.snr_db:.1f} dB"


def _choice(option: Option) -> list[str | None]:
    top1, _, agreement = _drift(option.score) if option.score else (None, None, None)
    return [
        option.name,
        top1,
        agreement,
        f"{option.latency_ms:.2f} ms",
        f"{option.bytes / 1e3:.0f} kB",
        "*" if option.front else "",
    ]
