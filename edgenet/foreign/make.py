"""A bundle of models that edgenet did not train: golden frames are answered by the models here."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet import __version__, bundle, golden, runtime
from edgenet.bundle import Bundle
from edgenet.dataset import Progress, silent
from edgenet.errors import ExportError, UsageError
from edgenet.foreign import labels as label_files
from edgenet.foreign import preprocess
from edgenet.foreign.given import Given
from edgenet.foreign.labels import Background
from edgenet.foreign.preprocess import Normalization
from edgenet.runner import Array
from edgenet.spec import FOREIGN, ModelSpec, Preprocess, Resize, Variant


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of the models; what is None must be in the files.

    Attributes:
        labels: class names.
        normalization: of the input.
        resize: how a picture is made to fit.
        background: what to do about a background class, see ``labels.fit``.
        name: of the bundle; the first model's by default.
    """

    labels: tuple[str, ...] | None = None
    normalization: Normalization | None = None
    resize: Resize = "stretch"
    background: Background | None = None
    name: str | None = None


def make(
    models: Sequence[Given],
    destination: Path,
    wishes: Wishes,
    *,
    target: str,
    command: str = "",
    progress: Progress = silent,
) -> Bundle:
    """Write a bundle of one or more models of one network.

    Args:
        models: of different variants.
        destination: the bundle's folder; it appears whole or not at all.
        wishes: what the user says of them.
        target: the name of the target that runs it.
        command: what the user typed, for the manifest.
        progress: told of each stage.

    Raises:
        ExportError: the models do not fit one another, or answer with what is not a number.
        UsageError: labels or normalization are missing, or labels do not fit.
        EngineError, MissingPackage: a model cannot be run here, so its golden answers are unknown.
    """
    first = models[0]
    by_variant = _by_variant(models)
    for other in models[1:]:
        _check_alike(first, other)
    height, width = first.size
    normalization = _normalization(models, wishes)
    spec = ModelSpec(
        FOREIGN,
        1.0,
        _labels(models, wishes),
        Preprocess(height, width, wishes.resize, normalization.mean, normalization.std),
    )
    tensors = {one.variant: ((one.input,), (one.output,)) for one in models}
    contents = {variant: one.content for variant, one in by_variant.items()}
    with tempfile.TemporaryDirectory() as folder:
        pictures, _ = golden.answers(
            contents, spec, Path(folder), tensors=tensors, progress=progress
        )
    for variant, answers in pictures.outputs.items():
        _refuse_nan(by_variant[variant], answers)
    return bundle.write(
        destination,
        name=wishes.name or first.path.stem,
        target=target,
        spec=spec,
        models=contents,
        tensors=tensors,
        golden=pictures,
        calibration=None,
        drift=None,
        versions=_versions(by_variant),
        command=command,
        answers={one.variant: one.answers for one in models},
    )


def _by_variant(models: Sequence[Given]) -> dict[Variant, Given]:
    found: dict[Variant, Given] = {}
    for one in models:
        if one.variant in found:
            raise ExportError(
                f"{found[one.variant].path} and {one.path} are both {one.variant}; a bundle holds"
                " one of each, so make two bundles"
            )
        found[one.variant] = one
    return found


def _check_alike(first: Given, other: Given) -> None:
    for what, mine, theirs in (
        ("takes pictures of", "{}x{}".format(*first.size), "{}x{}".format(*other.size)),
        ("gives", f"{first.classes} values", f"{other.classes} values"),
    ):
        if mine != theirs:
            raise ExportError(
                f"{first.path} {what} {mine}, {other.path} {theirs}; models of one bundle are of"
                " one network"
            )


def _labels(models: Sequence[Given], wishes: Wishes) -> tuple[str, ...]:
    found = wishes.labels or next((one.labels for one in models if one.labels), None)
    if found is None:
        raise UsageError(
            f"{models[0].path} does not say what its {models[0].classes} classes are; give a file"
            " of one class a line with --labels"
        )
    model = str(models[0].path)
    return label_files.fit(found, models[0].classes, wishes.background, model=model)


def _normalization(models: Sequence[Given], wishes: Wishes) -> Normalization:
    if wishes.normalization is not None:
        return wishes.normalization
    stated = {str(one.path): one.normalization for one in models if one.normalization is not None}
    found = preprocess.agreed(stated)
    if found is not None:
        return found
    integer = [one for one in models if one.input.dtype != "float32"]
    if integer:
        return preprocess.identity(integer[0].input)
    raise UsageError(
        f"{models[0].path} does not say how its input is normalized; say it with --preprocess"
        f" {'|'.join(preprocess.PRESETS)}, or with --mean and --std"
    )


def _refuse_nan(model: Given, answers: Array) -> None:
    if not np.isfinite(answers.astype(np.float64)).all():
        raise ExportError(
            f"{model.path} answers drawn pictures with what is not a number; look for"
            " --preprocess, or get the model again"
        )


def _versions(models: Mapping[Variant, Given]) -> dict[str, str]:
    engines = {runtime.check(variant) for variant in models}
    return {"edgenet": __version__, "numpy": importlib.metadata.version("numpy")} | {
        name: version for name, _, version in (engine.partition(" ") for engine in engines)
    }
