"""Every variant of a bundle on the pictures of a data set's evaluation split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from edgenet import __version__, image, runtime
from edgenet.bundle import Bundle
from edgenet.dataset import Dataset, Progress, silent
from edgenet.drift.answers import Answers, Lane, answer
from edgenet.drift.compare import compare, measure
from edgenet.drift.layers import LayerComparison
from edgenet.drift.record import DriftReport, Result
from edgenet.environment import usable_cores
from edgenet.errors import DataError, MissingPackage, UsageError, unknown
from edgenet.runner import Array, Device
from edgenet.spec import VARIANTS, Variant
from edgenet.stream.classify import Classifier

REFERENCES: tuple[Variant, ...] = ("fp32.tflite", "fp32.onnx")
LAYER_IMAGES = 64


@dataclass(frozen=True, slots=True)
class Options:
    """What to evaluate.

    Attributes:
        variants: which models, beside the reference; empty for all that this machine can run.
        max_images: how many pictures, drawn from the split; None for all.
        seed: of that draw.
        layers: whether to compare int8.tflite with fp32.tflite layer by layer.
        workers: pictures that are classified at the same time; None for one a core.
        device: a board, prepared, that runs its variant in this machine's place.
    """

    variants: tuple[str, ...] = ()
    max_images: int | None = None
    seed: int = 0
    layers: bool = False
    workers: int | None = None
    device: Device | None = None


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    options: Options | None = None,
    progress: Progress = silent,
) -> DriftReport:
    """Measure the bundle's variants; ``limits.judge`` then holds the report to limits.

    Raises:
        DataError: the data set has other labels, or no picture that can be used.
        UsageError: an option asks for what cannot be.
        BundleError: the bundle lacks a variant that was asked for.
        MissingPackage: the engine of a variant that was asked for is not installed.
        EngineError: an engine refuses a model.
    """
    options = options or Options()
    check_labels(bundle, dataset)
    split = dataset.evaluation
    pictures = draw(len(split), options)
    lane, skipped = open_variants(bundle, options.variants, options.device)
    comparison = LayerComparison(bundle) if options.layers else None
    alone = options.device is not None and not options.device.parallel
    workers = 1 if alone else min(options.workers or usable_cores(), len(pictures))
    more = (_open_all(bundle, tuple(lane), options.device) for _ in range(workers - 1))
    lanes = [lane, *more]
    start = perf_counter()
    answers = answer(bundle, lanes, split, pictures, progress)
    seconds = perf_counter() - start
    layer_pictures = _spread(answers.pictures) if comparison else ()
    fitted = (image.fit(split.rgb(int(index)), bundle.spec.preprocess) for index in layer_pictures)
    layers = comparison.measure(fitted, len(layer_pictures), progress) if comparison else ()
    return DriftReport(
        bundle=bundle.manifest.name,
        bundle_sha256=bundle.sha256,
        target=bundle.manifest.target,
        dataset=dataset.name,
        note=dataset.note,
        split=dataset.evaluation_name,
        images=len(answers.targets),
        available=len(split),
        seed=options.seed if len(pictures) < len(split) else None,
        calibrated=answers.calibrated,
        reference=_reference(lane),
        results=_results(bundle, lane, answers),
        skipped=skipped,
        layers=layers,
        layer_images=len(layer_pictures),
        images_per_s=len(pictures) / seconds,
        versions={"edgenet": __version__, "numpy": np.__version__},
    )


def check_labels(bundle: Bundle, dataset: Dataset) -> None:
    """Refuses a data set whose labels are not the bundle's, in the bundle's order.

    Raises:
        DataError: with the first label that differs.
    """
    ours, theirs = bundle.labels, dataset.labels
    if ours == theirs:
        return
    start = f"{dataset.name} has other labels than {bundle.manifest.name}: "
    if len(ours) != len(theirs):
        missing = [label for label in ours if label not in theirs]
        extra = [label for label in theirs if label not in ours]
        raise DataError(
            f"{start}{len(theirs)} instead of {len(ours)}{_named(', without', missing)}"
            f"{_named(', with', extra)}; evaluate on data of the classes it was trained for"
        )
    place = next(n for n, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
    same = "; the labels are the same in another order" if set(ours) == set(theirs) else ""
    raise DataError(
        f"{start}number {place} is {theirs[place]!r} instead of {ours[place]!r}{same}; "
        "evaluate on data of the classes it was trained for"
    )


def _named(word: str, labels: Sequence[str]) -> str:
    if not labels:
        return ""
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return f"{word} {', '.join(map(repr, labels[:3]))}{more}"


def draw(available: int, options: Options) -> Array:
    """The pictures to evaluate, as ordered indices; a simple random sample where fewer are wanted.

    Raises:
        UsageError: fewer than one is wanted.
    """
    wanted = options.max_images
    if wanted is None or wanted >= available:
        return np.arange(available)
    if wanted < 1:
        raise UsageError(f"cannot evaluate on {wanted} pictures; at least 1 is needed")
    return np.sort(np.random.default_rng(options.seed).permutation(available)[:wanted])


def open_variants(
    bundle: Bundle, wanted: Sequence[str], device: Device | None = None
) -> tuple[Lane, dict[Variant, str]]:
    """Opens the variants to evaluate, the reference first, and says which cannot run here.

    A variant that was asked for must run.  Without a wish every variant of the bundle is opened
    whose engine is installed.  The reference is the first of ``REFERENCES`` among them, else the
    first that can be opened.
    """
    for variant in wanted:
        if variant not in bundle.variants:
            raise UsageError(f"{bundle.root}: {unknown('variant', variant, bundle.variants)}")
    chosen = [v for v in bundle.variants if not wanted or v in wanted]
    opened: dict[Variant, Classifier] = {}
    skipped: dict[Variant, str] = {}
    for variant in chosen:
        try:
            opened[variant] = _open(bundle, variant, device)
        except MissingPackage as error:
            if wanted:
                raise
            skipped[variant] = str(error)
    if not opened:
        raise MissingPackage("an engine", "pc", needed_for=f"evaluating {', '.join(chosen)}")
    if _reference(opened) is None:
        opened |= _open_reference(bundle, skipped)
    order = sorted(opened, key=lambda v: (v != _reference(opened), VARIANTS.index(v)))
    return {variant: opened[variant] for variant in order}, skipped


def _open_reference(bundle: Bundle, skipped: dict[Variant, str]) -> dict[Variant, Classifier]:
    for variant in REFERENCES:
        if variant in bundle.variants and variant not in skipped:
            try:
                return {variant: Classifier.open(bundle, variant)}
            except MissingPackage as error:
                skipped[variant] = str(error)
    return {}


def _open_all(bundle: Bundle, variants: Sequence[Variant], device: Device | None) -> Lane:
    return {variant: _open(bundle, variant, device) for variant in variants}


def _open(bundle: Bundle, variant: Variant, device: Device | None) -> Classifier:
    there = device is not None and device.variant == variant
    return Classifier.open(bundle, variant, backend=device.engine if device and there else None)


def _reference(variants: Iterable[Variant]) -> Variant | None:
    return next((variant for variant in REFERENCES if variant in variants), None)


def _results(bundle: Bundle, lane: Lane, answers: Answers) -> tuple[Result, ...]:
    reference = _reference(lane)
    engines = runtime.available()
    return tuple(
        measure(
            logits,
            answers.targets,
            variant=variant,
            engine=engines.get(lane[variant].engine, lane[variant].engine),
            drift=compare(answers.logits[reference], logits, answers.targets, bundle.labels)
            if reference is not None and reference != variant
            else None,
        )
        for variant, logits in answers.logits.items()
    )


def _spread(pictures: Array) -> Array:
    """Some pictures from all over the split, which many data sets sort by class."""
    count = min(LAYER_IMAGES, len(pictures))
    chosen: Array = pictures[np.linspace(0, len(pictures) - 1, count).round().astype(int)]
    return chosen
