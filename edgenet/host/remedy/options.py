"""What could be run instead: drift against latency and size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from edgenet.errors import ExportError
from edgenet.host.export import convert
from edgenet.host.remedy.candidate import Candidate
from edgenet.host.remedy.judge import Judge
from edgenet.report.remedy import Option, Score, Step
from edgenet.spec import ASKED_FOR

Row = tuple[str, Score | None, float, int]


def options(judge: Judge, plain: Candidate, steps: Sequence[Step]) -> list[Option]:
    """The float network, every candidate that was measured, and other precisions.

    Args:
        judge: measured the candidates, and measures the rest.
        plain: int8 without remedies.
        steps: what was tried.
    """
    reference = judge.reference
    rows: list[Row] = [("fp32", None, reference.latency_ms, len(reference.model))]
    rows += list(_tried(steps))
    rows += list(_formats(judge, plain))
    return [Option(*row, front=not any(_beats(other, row) for other in rows)) for row in rows]


def _tried(steps: Sequence[Step]) -> Iterator[Row]:
    names = ["int8"]
    for step in steps:
        if step.name != "plain" and step.gain is None:
            continue
        name = names if step.name == "plain" else [*names, step.name]
        names = name if step.kept else names
        yield " + ".join(name), step.score, step.score.latency_ms, step.score.bytes


def _formats(judge: Judge, plain: Candidate) -> Iterator[Row]:
    variants = list(ASKED_FOR.values())
    try:
        models = convert(judge.network, plain.calibrator(), judge.spec, variants)
    except ExportError:  # the network has operators that one of them lacks
        models = {}
        for variant in variants:
            with suppress(ExportError):
                models |= convert(judge.network, plain.calibrator(), judge.spec, [variant])
    for variant, model in models.items():
        answers = judge.answers(variant, model)
        score = judge.score(answers)
        yield variant.removesuffix(".tflite"), score, score.latency_ms, score.bytes


def _beats(row: Row, other: Row) -> bool:
    """Whether a row is nowhere worse and somewhere better."""
    mine, theirs = _costs(row), _costs(other)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def _costs(row: Row) -> tuple[float, float, int]:
    _, score, latency, size = row
    # a second measurement would not give the third digit again
    return score.divergence if score else 0.0, float(f"{latency:.2g}"), size
