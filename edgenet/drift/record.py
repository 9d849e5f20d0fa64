"""What an evaluation found, as records that are written to JSON and into a bundle's manifest."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec

from edgenet.drift.significance import wilson
from edgenet.spec import Variant

SCHEMA = 1


class Share(msgspec.Struct, frozen=True):
    """``count`` of ``of`` pictures, with the 95 % interval that Wilson's formula gives it."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def counted(cls, count: int, of: int) -> Self:
        return cls(count, of, *wilson(count, of))

    @property
    def value(self) -> float:
        """The share itself, 0 to 1."""
        return self.count / self.of


class Change(msgspec.Struct, frozen=True):
    """How top-1 moved on the same pictures, as shares; negative is worse.

    Attributes:
        value: top-1 of the variant minus top-1 of the reference.
        low: lower end of the 95 % interval of ``value``.
        high: upper end of the 95 % interval of ``value``.
        worse: pictures that only the reference got right.
        better: pictures that only the variant got right.
        p_value: exact McNemar, two-sided.
    """

    value: float
    low: float
    high: float
    worse: int
    better: int
    p_value: float


class ClassChange(msgspec.Struct, frozen=True):
    """One class: how many of its pictures the reference and the variant get right."""

    label: str
    images: int
    reference: int
    variant: int

    @property
    def value(self) -> float:
        """The change of the class's share, -1 to 1; negative is worse."""
        return (self.variant - self.reference) / self.images


class Drift(msgspec.Struct, frozen=True):
    """One variant against the reference, on the same pictures.

    Attributes:
        top1: how top-1 moved.
        agreement: pictures to which both give the same class, right or wrong.
        confidence: mean change of the top class's softmax probability.
        snr_db: signal-to-noise ratio of the logits in decibels, at least -200; None if all are
            equal.
        classes: every class that has pictures, the largest loss first.
    """

    top1: Change
    agreement: Share
    confidence: float
    snr_db: float | None
    classes: tuple[ClassChange, ...]


class Result(msgspec.Struct, frozen=True):
    """One variant on the pictures.

    Attributes:
        variant: which model of the bundle.
        engine: what executed it, with its version.
        top1: pictures whose class has the largest logit; of equal logits the first class counts.
        top5: pictures whose class is among the five largest logits; None below six classes.
        confidence: mean softmax probability of the top class.
        ties: pictures whose largest logit is shared by two or more classes.
        drift: None for the reference itself, and where there is no reference.
    """

    variant: Variant
    engine: str
    top1: Share
    top5: Share | None
    confidence: float
    ties: int
    drift: Drift | None = None


class Layer(msgspec.Struct, frozen=True):
    """One layer of the int8 graph against the same layer of the float graph.

    Attributes:
        index: position in the graph, from 0.
        operator: the operator's name, as LiteRT has it.
        shape: of the layer's output.
        snr_db: of the dequantized output against the float one, in decibels; None if equal.
        gained_db: ``snr_db`` minus that of the layer before; None for the first layer.
        clipped: share of the float values that int8 cannot reach.
    """

    index: int
    operator: str
    shape: tuple[int, ...]
    snr_db: float | None
    gained_db: float | None
    clipped: float


class Violation(msgspec.Struct, frozen=True):
    """A limit that a variant breaks; the message names both numbers."""

    limit: str
    bound: float
    value: float
    variant: Variant
    message: str


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one evaluation measured, and on what.

    Attributes:
        kind: tells the record from others.
        schema: number of this record's form.
        bundle: the bundle's name.
        bundle_sha256: the bundle's identity, ``Bundle.sha256``.
        target: the target that the bundle is made for.
        dataset: the data set's name.
        note: what a reader of results on it must know; empty when nothing.
        split: the split of it that was evaluated.
        images: pictures that were shown to every variant.
        available: pictures that the split holds.
        seed: of the draw, where ``images`` were drawn from ``available``; else None.
        calibrated: pictures that were left out because int8 was calibrated on them.
        reference: the variant that the others are compared with; None if there is no fp32 model.
        results: the reference first.
        skipped: variants of the bundle that this machine cannot run, with the reason.
        layers: worst first; empty if they were not compared.
        layer_images: pictures that the layers were compared on.
        limits: what was demanded, by name.
        violations: what was demanded and not met.
        images_per_s: pictures a second, each shown to every variant.
        versions: of edgenet and the engines.
    """

    kind: Literal["drift"] = "drift"
    schema: int = SCHEMA
    bundle: str
    bundle_sha256: str
    target: str
    dataset: str
    note: str
    split: str
    images: int
    available: int
    seed: int | None
    calibrated: int
    reference: Variant | None
    results: tuple[Result, ...]
    skipped: dict[Variant, str]
    layers: tuple[Layer, ...] = ()
    layer_images: int = 0
    limits: dict[str, float] = {}
    violations: tuple[Violation, ...] = ()
    images_per_s: float
    versions: dict[str, str]


def summary(report: DriftReport) -> dict[str, Any]:
    """What a bundle's manifest keeps of a report: no speed, no class and layer tables.

    The same measurement gives the same dict, so that a bundle's bytes can be reproduced.
    """
    return {
        "schema": report.schema,
        "dataset": report.dataset,
        "note": report.note,
        "split": report.split,
        "images": report.images,
        "available": report.available,
        "seed": report.seed,
        "calibrated": report.calibrated,
        "reference": report.reference,
        "variants": {result.variant: _brief(result) for result in report.results},
        "limits": report.limits,
        "violations": [violation.message for violation in report.violations],
        "versions": report.versions,
    }


def _brief(result: Result) -> dict[str, Any]:
    brief: dict[str, Any] = {
        "top1": msgspec.to_builtins(result.top1),
        "top5": msgspec.to_builtins(result.top5),
        "confidence": result.confidence,
    }
    if result.drift is not None:
        brief["drift"] = {
            "top1": msgspec.to_builtins(result.drift.top1),
            "agreement": msgspec.to_builtins(result.drift.agreement),
            "confidence": result.drift.confidence,
            "snr_db": result.drift.snr_db,
        }
    return brief
