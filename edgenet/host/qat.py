"""Quantization-aware training of a checkpoint: which runs make sense, and one from Python."""

from __future__ import annotations

from pathlib import Path

from edgenet.dataset import open_dataset
from edgenet.errors import UsageError
from edgenet.host import checkpoint
from edgenet.host import recipe as recipes
from edgenet.host.callbacks import Observer
from edgenet.host.machine import Machine
from edgenet.host.quantize import input_quantization
from edgenet.host.recipe import Recipe
from edgenet.host.settings import Settings
from edgenet.host.train import Outcome, train

RECIPE = "qat"


def settings(
    init: Path,
    data: str,
    labels: tuple[str, ...],
    recipe: Recipe,
    *,
    seed: int = 0,
    patience: int | None = None,
) -> Settings:
    """Those of a run that trains what int8 is made of.

    Args:
        init: the checkpoint whose float network is to become int8.
        data: what it was trained on, as ``open_dataset`` takes it.
        labels: the classes of ``data``.
        recipe: one with a ``[qat]`` section.
        seed: of the order of the pictures and their variation.
        patience: as in ``Settings``.

    Raises:
        CheckpointError: there is no such checkpoint.
        ExportError: its preprocessing has no int8 form.
        UsageError: the classes are others, or the recipe is none for it.
    """
    spec = checkpoint.read_record(init).spec
    if recipe.qat is None:
        raise UsageError(
            "this recipe has no [qat] section, which --qat needs; leave --recipe away to take "
            f"{RECIPE}, or add the section"
        )
    if labels != spec.labels:
        theirs = "other classes than"
        if len(labels) != len(spec.labels):
            theirs = f"{len(labels)} classes, {len(spec.labels)} has"
        raise UsageError(
            f"{data} has {theirs} {init}; --qat keeps the head, so train without it on these "
            "classes first"
        )
    input_quantization(spec.preprocess)
    return Settings(
        data=data, spec=spec, recipe=recipe, seed=seed, init=str(init), patience=patience
    )


def tune(
    folder: Path,
    destination: Path,
    data: str,
    *,
    epochs: int | None = None,
    seed: int = 0,
    observer: Observer | None = None,
) -> Outcome:
    """Trains a checkpoint's int8 weights and ranges by the recipe ``qat``, in this process.

    Args:
        folder: the checkpoint; its float network is not changed. Int8 weights that it has already
            are where training starts.
        destination: a folder of its own for the result.
        data: what the checkpoint was trained on, as ``open_dataset`` takes it.
        epochs: the recipe's, unless given.
        seed: of the order of the pictures and their variation.
        observer: told how it goes.

    Raises:
        EdgenetError: as ``settings`` and ``train``.
    """
    recipe = recipes.scaled(recipes.load(RECIPE), epochs=epochs)
    labels = open_dataset(data).labels
    run = settings(folder, data, labels, recipe, seed=seed)
    outcome = train(run, destination, machine=Machine(logger="none"), observer=observer)
    assert outcome is not None  # there is one process
    return outcome
