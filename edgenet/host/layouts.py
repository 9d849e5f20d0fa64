"""The names that torchvision and timm give to the weights of the same networks.

A layout is a table from edgenet's modules to theirs, made from the family's blocks: torchvision
numbers what is in a block, timm numbers stages, which are blocks of the same width.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from torch import Tensor

from edgenet.architecture import ARCHITECTURES, Architecture, Inverted
from edgenet.errors import CheckpointError

Modules = dict[str, str]
"""Of each of edgenet's modules with weights, the other library's name."""


def torchvision(family: Architecture) -> Modules:
    """Of ``torchvision.models.mobilenet_v2`` and ``mobilenet_v3_*``.

    Raises:
        CheckpointError: torchvision has no such network.
    """
    if not isinstance(family.blocks[0], Inverted):
        raise CheckpointError(f"torchvision has no {family.name}; give weights in timm's layout")
    third = bool(family.hidden)
    inside = "block" if third else "conv"
    found = _norm("stem", "features.0.0", "features.0.1")
    for index, block in enumerate(family.blocks):
        assert isinstance(block, Inverted)
        ours, theirs = f"blocks.{index}", f"features.{index + 1}.{inside}"
        place = 0
        for name in ("expand", "depthwise") if block.expansion != 1 else ("depthwise",):
            found |= _norm(f"{ours}.{name}", f"{theirs}.{place}.0", f"{theirs}.{place}.1")
            place += 1
        if block.squeeze:
            found[f"{ours}.squeeze.reduce.conv"] = f"{theirs}.{place}.fc1"
            found[f"{ours}.squeeze.excite.conv"] = f"{theirs}.{place}.fc2"
            place += 1
        last = (f"{place}.0", f"{place}.1") if third else (f"{place}", f"{place + 1}")
        found |= _norm(f"{ours}.project", f"{theirs}.{last[0]}", f"{theirs}.{last[1]}")
    head = f"features.{len(family.blocks) + 1}"
    found |= _norm("head", f"{head}.0", f"{head}.1")
    if third:
        found["hidden"] = "classifier.0"
    return found | {"classifier": "classifier.3" if third else "classifier.1"}


def timm(family: Architecture) -> Modules:
    """Of timm's ``mobilenetv1_*``, ``mobilenetv2_*``, ``mobilenetv3_*`` and ``tf_*`` of them."""
    found = _norm("stem", "conv_stem", "bn1")
    stage, place, width = -1, 0, 0
    for index, block in enumerate(family.blocks):
        stage, place = (stage, place + 1) if block.channels == width else (stage + 1, 0)
        width = block.channels
        ours, theirs = f"blocks.{index}", f"blocks.{stage}.{place}"
        last = "project" if isinstance(block, Inverted) else "pointwise"
        if isinstance(block, Inverted) and block.expansion != 1:
            names = {"expand": "conv_pw", "depthwise": "conv_dw", last: "conv_pwl"}
        else:
            names = {"depthwise": "conv_dw", last: "conv_pw"}
        for number, (name, other) in enumerate(names.items(), start=1):
            found |= _norm(f"{ours}.{name}", f"{theirs}.{other}", f"{theirs}.bn{number}")
        if isinstance(block, Inverted) and block.squeeze:
            found[f"{ours}.squeeze.reduce.conv"] = f"{theirs}.se.conv_reduce"
            found[f"{ours}.squeeze.excite.conv"] = f"{theirs}.se.conv_expand"
    if family.hidden:
        found |= _norm("head", f"blocks.{stage + 1}.0.conv", f"blocks.{stage + 1}.0.bn1")
        found["hidden"] = "conv_head"
    elif family.head:
        found |= _norm("head", "conv_head", "bn2")
    return found | {"classifier": "classifier"}


LAYOUTS: Mapping[str, tuple[str, Callable[[Architecture], Modules]]] = {
    "torchvision": ("features.0.0.weight", torchvision),
    "timm": ("conv_stem.weight", timm),
}
"""Of each layout the name of the first weight, which tells it from others, and its modules."""


def layout_of(names: Collection[str]) -> str:
    """The key of ``LAYOUTS`` that has such names.

    Raises:
        CheckpointError: none has.
    """
    for layout, (first, _) in LAYOUTS.items():
        if first in names:
            return layout
    some = ", ".join(sorted(names)[:3]) or "nothing"
    raise CheckpointError(
        f"the weights are in no layout that is known (torchvision, timm): they are called {some}; "
        "a checkpoint of edgenet's own is given with --init"
    )


def translate(
    weights: Mapping[str, Tensor], arch: str, wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Weights under edgenet's names; all of theirs are used, but for a head of other classes.

    Args:
        weights: by the names of a layout.
        arch: a key of ``ARCHITECTURES``.
        wanted: a state dict of the network, whose shapes they must have.

    Returns:
        Tensors by the names of ``wanted``; the classifier's are left out if its classes differ.

    Raises:
        CheckpointError: a weight is missing, of another shape, or of another network.
    """
    layout = layout_of(weights)
    modules = LAYOUTS[layout][1](ARCHITECTURES[arch])
    found: dict[str, Tensor] = {}
    left = dict(weights)
    for name, own in wanted.items():
        ours, _, part = name.rpartition(".")
        theirs = f"{modules[ours]}.{part}"
        tensor = left.pop(theirs, own if part == "num_batches_tracked" else None)
        if tensor is None:
            raise CheckpointError(f"{layout}'s weights of {arch} have {theirs}; here it is missing")
        if ours in ("hidden", "classifier") and tensor.ndim == 4:
            tensor = tensor.flatten(1)
        if tensor.shape == own.shape:
            found[name] = tensor
        elif ours != "classifier":
            raise CheckpointError(
                f"{theirs} is {_shape(tensor)}; {arch} as asked for needs {_shape(own)}: "
                "give the --arch and --alpha that the weights are of"
            )
    if left:
        raise CheckpointError(f"{next(iter(left))} is no weight of {arch}; --arch names another")
    return found


def _norm(ours: str, convolution: str, norm: str) -> Modules:
    return {f"{ours}.conv": convolution, f"{ours}.norm": norm}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one value"
