"""What decides a training run's result, and what suits the data where the user leaves it open."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from edgenet import architecture
from edgenet.errors import UsageError
from edgenet.host import checkpoint, pretrained
from edgenet.host.recipe import Recipe
from edgenet.spec import ModelSpec, Preprocess

# What suits the data where the user says nothing: architecture, alpha, side of the input in pixels
_FITTING = {"digits": ("mobilenet_v1", 0.25, 32), "cifar10": ("mobilenet_v1_cifar", 1.0, 32)}
_OTHERWISE = ("mobilenet_v1", 0.5, 128)
_PUBLISHED = ("mobilenet_v2", 1.0, 224)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides a run's result, kept with it so that it can go on.

    Attributes:
        data: the data set, as ``open_dataset`` takes it.
        spec: the network to train.
        recipe: how it learns.
        seed: of the first weights, the order of the pictures and their variation.
        init: a checkpoint whose weights are the first weights.
        weights: published ones that are the first weights, as ``pretrained.find`` takes them.
        freeze: ``features``, or how many blocks after the stem keep their weights.
        patience: stop after this many validations without a better top-1, and keep the best.
        precision: of the arithmetic while training, as Lightning names it.
        float16: store the weights in half the space.
    """

    data: str
    spec: ModelSpec
    recipe: Recipe
    seed: int = 0
    init: str | None = None
    weights: str | None = None
    freeze: str | None = None
    patience: int | None = None
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    float16: bool = False


def default_recipe(data: str) -> str:
    """The recipe for a data set where the user names none."""
    return "quick" if data == "digits" else "modern"


def default_spec(
    data: str,
    labels: tuple[str, ...],
    *,
    init: Path | None,
    wanted: dict[str, Any],
    weights: str | None = None,
) -> ModelSpec:
    """The network to train.

    Args:
        data: the data set, as ``open_dataset`` takes it.
        labels: its classes.
        init: a checkpoint that gives what is not wanted otherwise.
        wanted: ``arch``, ``alpha``, ``imgsz`` and ``resize``, each None to leave it open.
        weights: published ones, which give padding, mean and std.

    Raises:
        UsageError: there is no such network, or both ``init`` and ``weights`` are given.
        CheckpointError: ``init`` or ``weights`` cannot be read.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    if init is not None and weights is not None:
        raise UsageError("--init and --weights are both given; a network starts from one of them")
    if init is not None:
        spec = checkpoint.read_record(init).spec
    else:
        fitting = _FITTING.get(data.partition(":")[0], _OTHERWISE)
        arch, alpha, imgsz = _PUBLISHED if weights else fitting
        if given.get("arch", arch) != arch:
            architecture.network(given["arch"], alpha=1, classes=2)
            imgsz = architecture.ARCHITECTURES[given["arch"]].imgsz
        spec = ModelSpec(arch, alpha, labels, Preprocess(imgsz, imgsz))
    side = given.get("imgsz")
    preprocess = msgspec.structs.replace(
        spec.preprocess,
        height=side or spec.preprocess.height,
        width=side or spec.preprocess.width,
        resize=given.get("resize", spec.preprocess.resize),
    )
    spec = msgspec.structs.replace(
        spec,
        arch=given.get("arch", spec.arch),
        alpha=given.get("alpha", spec.alpha),
        labels=labels,
        preprocess=preprocess,
    )
    architecture.network(spec.arch, alpha=spec.alpha, classes=len(labels))
    return pretrained.find(weights, spec.arch, spec.alpha).fit(spec) if weights else spec
