"""A training run from data to checkpoint, which can be killed at any moment and go on."""

from __future__ import annotations

import platform
import signal
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import lightning
import msgspec
import torch
from torch import Tensor

from edgenet.dataset import Dataset, Split, hold_out, open_dataset
from edgenet.errors import CheckpointError, Interrupted
from edgenet.host import checkpoint, data, learner, pretrained, tensors, transfer, tuning
from edgenet.host.callbacks import Best, Observer, Telling, weights
from edgenet.host.fakequant import FakeQuantized
from edgenet.host.machine import Machine, device_name, trainer_for
from edgenet.host.models import Network, build
from edgenet.host.quiet import quiet_lightning
from edgenet.host.run import Run
from edgenet.host.settings import Settings

VALIDATION_SHARE = 0.1
PACKAGES = ("edgenet", "torch", "lightning", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        checkpoint: the record that was written.
        score: what was measured on the evaluation split with the weights as written.
        int8: the same of the int8 network, which ``--qat`` trains.
        epochs: how many were trained, in all.
        seconds: wall time of this process's part, data included.
        device: what trained.
    """

    checkpoint: checkpoint.Checkpoint
    score: learner.Score
    int8: learner.Score | None
    epochs: int
    seconds: float
    device: str


def train(
    settings: Settings,
    folder: Path,
    *,
    machine: Machine | None = None,
    resume: bool = False,
    observer: Observer | None = None,
) -> Outcome | None:
    """Trains a network and writes its checkpoint to ``folder``.

    A recipe with a ``[qat]`` section trains what int8 is made of, beside a float network that stays
    as it is (``edgenet.host.tuning``).

    The weights kept are those at the end of the last epoch (their moving average, if the recipe
    has one), not the best on the evaluation split: picking those would measure luck.  Only
    ``patience`` picks, and never on the split that is reported: on ``val`` where there is a
    ``test`` beside it, else on a tenth of ``train``, which is then not learned from.

    Args:
        settings: what decides the result.
        folder: the run's folder.
        machine: where it happens.
        resume: go on with the run that is in ``folder``, whose settings these are.
        observer: told how it goes.

    Returns:
        What came of it; None in every process but the first of several.

    Raises:
        EdgenetError: the data, the settings or the folder cannot be used.
        TrainingError: the loss is no longer a number.
        Interrupted: by the user.
    """
    machine = machine or Machine()
    started = time.perf_counter()
    run = Run(folder)
    with quiet_lightning():
        trainer = trainer_for(settings, machine, run)
        first = trainer.is_global_zero
        observer = observer if observer and first else Observer()
        trainer.callbacks.append(Telling(observer))  # type: ignore[attr-defined]
        if first and not resume:
            run.check()
        torch.manual_seed(settings.seed)
        model = _model(settings, observer)
        dataset = open_dataset(settings.data, progress=observer.progress)
        if dataset.labels != settings.spec.labels:
            raise CheckpointError(f"{settings.data} no longer has the classes of {folder}")
        if dataset.note:
            observer.stage(f"{dataset.name}: {dataset.note}")
        pictures = _pictures(dataset, settings, machine, observer)
        module = _learner(model, settings, pictures)
        state = run.state() if resume else None
        if first and not resume:
            run.begin(settings)
        if resume:
            observer.stage("going on" if state else "starting anew: nothing was kept yet")
        _fit(trainer, module, state, folder)
        if not trainer.is_global_zero:
            return None
        device = trainer.strategy.root_device
        kept = _kept(trainer, module)
        if isinstance(module, tuning.QatLearner):
            observer.stage("measuring the float and the int8 network")
            record, found, int8 = tuning.finish(
                folder, module, kept, pictures["evaluated"], _training(settings, dataset, pictures)
            )
        else:
            found, int8 = _measured(settings, kept, pictures["evaluated"], device), None
            record = checkpoint.save(
                folder,
                checkpoint.Checkpoint(
                    spec=settings.spec,
                    metrics=found.metrics(dataset.evaluation_name),
                    **_training(settings, dataset, pictures),
                ),
                kept,
                float16=settings.float16,
            )
        run.resume.unlink(missing_ok=True)
        seconds = time.perf_counter() - started
        return Outcome(record, found, int8, trainer.current_epoch, seconds, device_name(device))


def _fit(
    trainer: lightning.Trainer, module: learner.Learner, state: Path | None, folder: Path
) -> None:
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, ckpt_path=state, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C, after which it leaves the key dead
        signal.signal(signal.SIGINT, on_interrupt)
        raise Interrupted(
            f"interrupted; continue with: edgenet train --resume -o {folder}"
        ) from None


def _model(settings: Settings, observer: Observer) -> Network | FakeQuantized:
    """The network with its first weights, frozen where it is to stay."""
    if settings.recipe.qat:
        return tuning.start(settings, observer)
    model = build(settings.spec)
    if settings.init is not None:
        for sentence in transfer.start_from(model, settings.spec, Path(settings.init)):
            observer.stage(sentence)
    if settings.weights is not None:
        published = pretrained.find(settings.weights, settings.spec.arch, settings.spec.alpha)
        observer.stage(published.give(model, settings.spec))
    if settings.freeze is not None:
        observer.stage(transfer.freeze(model, settings.freeze))
    return model


def _learner(
    model: Network | FakeQuantized, settings: Settings, pictures: dict[str, data.Pictures]
) -> learner.Learner:
    train, val = pictures["train"], pictures["watched"]
    if isinstance(model, FakeQuantized):
        return tuning.QatLearner(model, settings, train=train, val=val)
    preprocess = settings.spec.preprocess
    return learner.Learner(
        model, settings.recipe, preprocess, train=train, val=val, seed=settings.seed
    )


def _pictures(
    dataset: Dataset, settings: Settings, machine: Machine, observer: Observer
) -> dict[str, data.Pictures]:
    """The pictures to learn from, to watch, and to evaluate on at the end."""
    parts: dict[str, Split] = {"train": dataset.splits["train"], "evaluated": dataset.evaluation}
    if settings.patience is None:
        parts["watched"] = dataset.splits.get("val", dataset.evaluation)
    elif {"val", "test"} <= set(dataset.splits):
        parts["watched"] = dataset.splits["val"]
    else:  # the split that is reported on may not pick the weights
        parts["train"], parts["watched"] = hold_out(
            parts["train"], VALIDATION_SHARE, settings.seed, source=dataset.name
        )
    made: dict[int, data.Pictures] = {}
    for name, split in parts.items():
        if id(split) not in made:
            made[id(split)] = data.prepare(
                split,
                settings.spec.preprocess,
                cache=machine.cache,
                progress=observer.progress,
                name=f"reading {name} pictures",
            )
    return {name: made[id(split)] for name, split in parts.items()}


def _kept(trainer: lightning.Trainer, module: learner.Learner) -> dict[str, Tensor]:
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Best):
            return callback.weights
    return weights(module)


def _measured(
    settings: Settings, kept: dict[str, Tensor], pictures: data.Pictures, device: torch.device
) -> learner.Score:
    """The score of the weights as they will be read back, in float32."""
    model = build(settings.spec)
    model.load_state_dict(tensors.as_stored(kept, float16=settings.float16))
    return learner.measure(model.to(device), pictures, settings.spec.preprocess, device)


def _training(
    settings: Settings, dataset: Dataset, pictures: dict[str, data.Pictures]
) -> dict[str, Any]:
    """What led to the weights, as a checkpoint keeps it."""
    evaluated = dataset.evaluation_name
    return {
        "recipe": msgspec.json.decode(msgspec.json.encode(settings.recipe)),
        "data": {
            "name": dataset.name,
            "images": {"train": len(pictures["train"]), evaluated: len(pictures["evaluated"])},
            "evaluated_on": evaluated,
            "kept": "last" if settings.patience is None else "best on validation",
            "note": dataset.note,
        },
        "seed": settings.seed,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Python's version and those of the packages that shape the weights."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
