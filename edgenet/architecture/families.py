"""The families: MobileNetV1, V2, V3 large and small, and what small pictures and devices want.

MobileNetV1 is table 1 of arXiv 1704.04861, V2 table 2 of arXiv 1801.04381, V3 tables 1 and 2 of
arXiv 1905.02244.  Minimalistic V3 is that of the same authors' reference code: 3x3 kernels alone,
ReLU, nothing squeezed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edgenet.architecture.blocks import (
    Inverted,
    Separable,
    Width,
    at_least_eight,
    multiple_of_eight,
)

Block = Separable | Inverted


@dataclass(frozen=True, slots=True)
class Architecture:
    """A family of networks that alpha and the resolution pick from.

    Channels are those at alpha 1.

    Attributes:
        name: the family's name.
        imgsz: the input side it is usually trained at, in pixels.
        classes: of the data that it is usually trained on.
        stem: channels of the first convolution.
        stem_stride: 2 for ImageNet-sized pictures, 1 for CIFAR-sized ones.
        blocks: what follows the stem.
        head: channels of a last pointwise convolution, or 0 for none.
        hidden: outputs of a linear layer between pool and classifier, or 0 for none.
        activation: of stem, head and hidden layer.
        width: rounds scaled channels.
        least_stem: below alpha 0.75 the stem stays as it is.
    """

    name: str
    imgsz: int = 224
    classes: int = 1000
    stem: int = 32
    stem_stride: int = 2
    blocks: tuple[Block, ...] = ()
    head: int = 0
    hidden: int = 0
    activation: Literal["relu", "relu6", "hard_swish"] = "relu6"
    width: Width = multiple_of_eight
    least_stem: bool = False


_V1 = Architecture(
    "mobilenet_v1",
    blocks=tuple(
        Separable(channels, stride)
        for channels, stride in (
            (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
            *((512, 1),) * 5, (1024, 2), (1024, 1),
        )
    ),
    width=at_least_eight,
)  # fmt: skip

# expansion, channels, blocks, stride of the first of them
_V2 = Architecture(
    "mobilenet_v2",
    blocks=tuple(
        Inverted(channels, stride if index == 0 else 1, expansion)
        for expansion, channels, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
            (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        )
        for index in range(count)
    ),
    head=1280,
)  # fmt: skip

_V3_LARGE = Architecture(
    "mobilenet_v3_large",
    stem=16,
    blocks=(
        Inverted(16, 1, 1, activation="relu"),
        Inverted(24, 2, 4, activation="relu"),
        Inverted(24, 1, 3, activation="relu"),
        Inverted(40, 2, 3, 5, squeeze=True, activation="relu"),
        Inverted(40, 1, 3, 5, squeeze=True, activation="relu"),
        Inverted(40, 1, 3, 5, squeeze=True, activation="relu"),
        Inverted(80, 2, 6, activation="hard_swish"),
        Inverted(80, 1, 2.5, activation="hard_swish"),
        Inverted(80, 1, 2.3, activation="hard_swish"),
        Inverted(80, 1, 2.3, activation="hard_swish"),
        Inverted(112, 1, 6, squeeze=True, activation="hard_swish"),
        Inverted(112, 1, 6, squeeze=True, activation="hard_swish"),
        Inverted(160, 2, 6, 5, squeeze=True, activation="hard_swish"),
        Inverted(160, 1, 6, 5, squeeze=True, activation="hard_swish"),
        Inverted(160, 1, 6, 5, squeeze=True, activation="hard_swish"),
    ),
    head=960,
    hidden=1280,
    activation="hard_swish",
    least_stem=True,
)

_V3_SMALL = replace(
    _V3_LARGE,
    name="mobilenet_v3_small",
    blocks=(
        Inverted(16, 2, 1, squeeze=True, activation="relu"),
        Inverted(24, 2, 4.5, activation="relu"),
        Inverted(24, 1, 88 / 24, activation="relu"),
        Inverted(40, 2, 4, 5, squeeze=True, activation="hard_swish"),
        Inverted(40, 1, 6, 5, squeeze=True, activation="hard_swish"),
        Inverted(40, 1, 6, 5, squeeze=True, activation="hard_swish"),
        Inverted(48, 1, 3, 5, squeeze=True, activation="hard_swish"),
        Inverted(48, 1, 3, 5, squeeze=True, activation="hard_swish"),
        Inverted(96, 2, 6, 5, squeeze=True, activation="hard_swish"),
        Inverted(96, 1, 6, 5, squeeze=True, activation="hard_swish"),
        Inverted(96, 1, 6, 5, squeeze=True, activation="hard_swish"),
    ),
    head=576,
    hidden=1024,
)


def _for_cifar(family: Architecture) -> Architecture:
    return replace(family, name=f"{family.name}_cifar", imgsz=32, classes=10, stem_stride=1)


def _minimalistic(family: Architecture) -> Architecture:
    blocks = tuple(
        replace(block, kernel=3, squeeze=False, activation="relu")
        for block in family.blocks
        if isinstance(block, Inverted)
    )
    return replace(family, name=f"{family.name}_minimalistic", blocks=blocks, activation="relu")


ARCHITECTURES: Mapping[str, Architecture] = {
    family.name: family
    for family in (
        _V1,
        _for_cifar(_V1),
        _V2,
        _for_cifar(_V2),
        _V3_LARGE,
        _V3_SMALL,
        _minimalistic(_V3_LARGE),
        _minimalistic(_V3_SMALL),
    )
}
