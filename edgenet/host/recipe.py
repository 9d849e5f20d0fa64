"""How to train, as data: a recipe is a TOML file that is read into these records.

``edgenet/host/recipes`` holds those that come with edgenet; a path names any other.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edgenet.errors import UsageError, nothing_at, unknown

Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Decay = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Optimizer(_Record, frozen=True):
    """What moves the weights.

    Attributes:
        name: ``sgd``, ``adamw`` or ``rmsprop``.
        lr: learning rate at the recipe's batch size, after the warm-up.
        momentum: of sgd and rmsprop.
        nesterov: Nesterov's momentum, for sgd.
        smoothing: of rmsprop's mean square.
        eps: added to the denominator by adamw and rmsprop.
        weight_decay: on the weights of convolutions and the classifier, never on biases and norms.
        decay_depthwise: whether depthwise filters decay too; arXiv 1704.04861 section 3.2 advises
            little or none, since they have so few parameters.
    """

    name: Literal["sgd", "adamw", "rmsprop"]
    lr: Positive
    momentum: Decay = 0.9
    nesterov: bool = False
    smoothing: Decay = 0.9
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    decay_depthwise: bool = False


class Schedule(_Record, frozen=True):
    """How the learning rate changes.

    Attributes:
        name: ``cosine`` falls to ``final``, ``exponential`` multiplies by ``rate`` each epoch.
        warmup_epochs: the learning rate rises linearly from 0 over these.
        final: the last learning rate over the highest, for cosine.
        rate: for exponential.
    """

    name: Literal["cosine", "exponential", "constant"] = "cosine"
    warmup_epochs: NonNegative = 0.0
    final: Share = 0.0
    rate: Share = 0.98


class Augment(_Record, frozen=True):
    """How pictures are varied; all on the batch, each picture differently.

    Attributes:
        crop: ``resized`` cuts a random box and enlarges it, ``pad`` shifts by up to ``pad`` pixels.
        scale: area of the random box over the picture's, smallest and largest.
        ratio: its width over its height, smallest and largest.
        pad: pixels of black around the picture, for ``pad``.
        flip: whether half of the pictures are mirrored left to right.
        rotate: turned by at most this many degrees either way.
        color: brightness, contrast and saturation are each scaled by 1 - color .. 1 + color.
        erase: share of pictures that lose a random box of 2 to 25 % of their area.
        mixup: alpha of the Beta distribution that mixes pictures in pairs (arXiv 1710.09412).
        cutmix: alpha of the Beta distribution that pastes boxes in pairs (arXiv 1905.04899).
        mix_share: share of the batches that are mixed, in one of the two ways.
    """

    crop: Literal["none", "resized", "pad"] = "none"
    scale: tuple[Share, Share] = (0.35, 1.0)
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)
    pad: NonNegative = 4
    flip: bool = False
    rotate: NonNegative = 0.0
    color: Share = 0.0
    erase: Share = 0.0
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0
    mix_share: Share = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if low > high or low == 0:
                raise ValueError(f"{name} is [{low}, {high}]; the smaller comes first, above 0")


class Qat(_Record, frozen=True):
    """How a network is trained with int8's rounding in it (``edgenet train --qat``).

    Attributes:
        follow: an activation's range moves at each step by this share of its way to the extremes
            of the batch.
        frozen: share of the run, at its end, in which the ranges stay.
        distill: share of the target that is the float network's own answer; the label is the rest.
    """

    follow: Share = 0.01
    frozen: Share = 0.3
    distill: Share = 0.0


class Recipe(_Record, frozen=True, kw_only=True):
    """Everything about a training run that is neither the data nor the network.

    Attributes:
        about: one line for whoever chooses.
        epochs: how often every picture is seen.
        batch_size: pictures per step, on all devices together.
        optimizer: what moves the weights.
        schedule: how the learning rate changes.
        augment: how pictures are varied.
        label_smoothing: share of the target that is spread over all classes.
        ema: decay per step of the moving average of the weights, which is what is evaluated and
            kept; 0 keeps the weights themselves.  Early on the decay is (1 + n) / (10 + n).
        clip_norm: gradients longer than this are shortened to it; 0 never does.
        norm_momentum: of batch norm's running statistics.
        validate_every: epochs between two looks at the validation split.
        qat: of a recipe for ``--qat`` alone.
    """

    about: str = ""
    epochs: Count
    batch_size: Count
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    label_smoothing: Decay = 0.0
    ema: Decay = 0.0
    clip_norm: NonNegative = 0.0
    norm_momentum: Share = 0.1
    validate_every: Count = 1
    qat: Qat | None = None

    def __post_init__(self) -> None:
        if self.qat and self.ema:
            raise ValueError(
                f"ema is {self.ema:g}, but no average is kept of weights that are rounded; set it "
                "to 0"
            )


def names() -> list[str]:
    """The recipes that come with edgenet."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in _folder().iterdir()
        if entry.name.endswith(".toml")
    )


def load(name: str, changes: tuple[str, ...] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        name: one of ``names()``, or the path of a TOML file.
        changes: ``key=value`` each, the key dotted and the value as TOML has it, such as
            ``optimizer.lr=0.2`` or ``augment.crop="pad"``; they replace what the file says.

    Raises:
        UsageError: there is no such recipe, or a key or value is not allowed.
    """
    if name.endswith(".toml"):
        file: Traversable = Path(name)
        if not file.is_file():
            raise UsageError(f"{nothing_at(name)}; the named recipes are {', '.join(names())}")
    elif name in names():
        file = _folder() / f"{name}.toml"
    else:
        raise UsageError(unknown("recipe", name, names()))
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{name} is not a readable TOML file: {error}") from error
    for change in changes:
        _change(content, change)
    return parse(content, name)


def parse(content: dict[str, Any], name: str) -> Recipe:
    """Checks a recipe read from TOML.

    Raises:
        UsageError: a key or value is not allowed; the message names it and ``name``.
    """
    try:
        return msgspec.convert(content, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(f"recipe {name}: {_explain(str(error))}") from error


def scaled(
    recipe: Recipe,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
) -> Recipe:
    """A recipe with other numbers; the learning rate follows the batch size unless it is given.

    It is proportional, after arXiv 1706.02677.

    Raises:
        UsageError: the learning rate is not above 0.
    """
    if lr is not None and not lr > 0:
        raise UsageError(f"--lr is {lr}; it must be above 0")
    replace = msgspec.structs.replace
    if batch_size is not None and lr is None:
        lr = recipe.optimizer.lr * batch_size / recipe.batch_size
    if lr is not None:
        recipe = replace(recipe, optimizer=replace(recipe.optimizer, lr=lr))
    return replace(
        recipe, epochs=epochs or recipe.epochs, batch_size=batch_size or recipe.batch_size
    )


def _folder() -> Traversable:
    return resources.files("edgenet.host") / "recipes"


def _change(content: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    *parents, last = key.strip().split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise UsageError(f"--set {change}: {parent} is a value, not a section")
    try:
        content[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        if not equals or not re.fullmatch(r"[a-z_]+", value):
            raise UsageError(
                f"--set {change}: expected KEY=VALUE, such as optimizer.lr=0.1"
            ) from None
        content[last] = value


def _explain(message: str) -> str:
    """Msgspec's sentence in the field's words: the dotted key first."""
    what, _, where = message.partition(" - at `$")
    section = where.strip("`.")
    found = re.fullmatch(r"Object contains unknown field `(.+)`", what)
    if not found:
        return f"{section}: {what}" if section else what
    records: dict[str, type[_Record]] = {
        "": Recipe,
        "optimizer": Optimizer,
        "schedule": Schedule,
        "augment": Augment,
        "qat": Qat,
    }
    return unknown(
        f"{section} key".strip(),
        found[1],
        records[section].__struct_fields__,
    )
