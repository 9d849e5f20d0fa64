"""Networks as data: the layers of MobileNet, from which the torch model and its cost are both made.

MobileNetV1 is table 1 of arXiv 1704.04861; the width multiplier alpha is its section 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgenet.errors import UsageError, unknown

Kind = Literal["conv", "depthwise", "pointwise", "pool", "linear"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer; ``conv``, ``depthwise`` and ``pointwise`` carry batch norm and ReLU6.

    Attributes:
        name: dotted, unique in the network, as in the torch model.
        kind: what it computes.
        inputs: input channels.
        outputs: output channels.
        kernel: side of the square kernel, in pixels.
        stride: in pixels, the same in both directions.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1


Blocks = tuple[tuple[int, int], ...]

# (output channels at alpha 1, stride of the depthwise layer) of each separable block
_TAIL: Blocks = ((512, 1),) * 5 + ((1024, 2), (1024, 1))
_IMAGENET: Blocks = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *_TAIL)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A family of networks that alpha and the resolution pick from.

    Attributes:
        name: the family's name.
        stem_stride: 2 for ImageNet-sized pictures, 1 for CIFAR-sized ones.
        blocks: output channels at alpha 1 and stride of each depthwise separable block.
        imgsz: the input side it is usually trained at, in pixels.
    """

    name: str
    stem_stride: int
    blocks: Blocks
    imgsz: int


ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture("mobilenet_v1", stem_stride=2, blocks=_IMAGENET, imgsz=224),
        Architecture("mobilenet_v1_cifar", stem_stride=1, blocks=_IMAGENET, imgsz=32),
    )
}


def network(
    arch: str, *, alpha: float, classes: int, depth_multiplier: int = 1, standard: bool = False
) -> tuple[Layer, ...]:
    """The layers of ``arch``, first to last.

    Args:
        arch: a key of ``ARCHITECTURES``.
        alpha: width multiplier; channels become ``max(8, int(alpha * channels))``.
        classes: outputs of the classifier.
        depth_multiplier: depthwise kernels per input channel.
        standard: the twin with one standard convolution in place of each separable block.

    Raises:
        UsageError: an unknown architecture, or a number that makes no network.
    """
    if arch not in ARCHITECTURES:
        raise UsageError(unknown("architecture", arch, ARCHITECTURES))
    if not 0 < alpha <= 4:
        raise UsageError(f"alpha is {alpha}; it must be above 0 and at most 4")
    if classes < 1 or depth_multiplier < 1:
        raise UsageError(
            f"{classes} classes with depth multiplier {depth_multiplier}; both must be at least 1"
        )
    family = ARCHITECTURES[arch]
    block = _standard if standard else _separable(depth_multiplier)
    width = _scaled(32, alpha)
    layers = [Layer("stem", "conv", 3, width, kernel=3, stride=family.stem_stride)]
    for index, (channels, stride) in enumerate(family.blocks):
        layers += block(f"blocks.{index}", width, _scaled(channels, alpha), stride)
        width = layers[-1].outputs
    layers.append(Layer("pool", "pool", width, width))
    layers.append(Layer("classifier", "linear", width, classes))
    return tuple(layers)


def parse_name(model: str) -> tuple[str, float | None, int | None]:
    """Architecture, alpha and resolution of a name such as ``mobilenet_v1_0.5_128``.

    >>> parse_name("mobilenet_v1_0.5_128")
    ('mobilenet_v1', 0.5, 128)
    >>> parse_name("mobilenet_v1_cifar")
    ('mobilenet_v1_cifar', None, None)

    Raises:
        UsageError: the architecture is not known.
    """
    found = re.fullmatch(r"(?P<arch>.+?)(?:_(?P<alpha>\d+\.\d+)(?:_(?P<imgsz>\d+))?)?", model)
    arch = found["arch"] if found else model
    if found is None or arch not in ARCHITECTURES:
        raise UsageError(unknown("architecture", arch, ARCHITECTURES))
    alpha, imgsz = found["alpha"], found["imgsz"]
    return arch, float(alpha) if alpha else None, int(imgsz) if imgsz else None


def format_name(arch: str, alpha: float, imgsz: int) -> str:
    """The name that ``parse_name`` reads.

    >>> format_name("mobilenet_v1", 1, 224)
    'mobilenet_v1_1.0_224'
    """
    return f"{arch}_{float(alpha)}_{imgsz}"


def _scaled(channels: int, alpha: float) -> int:
    return max(8, int(channels * alpha))


def _standard(name: str, inputs: int, outputs: int, stride: int) -> list[Layer]:
    return [Layer(f"{name}.conv", "conv", inputs, outputs, kernel=3, stride=stride)]


def _separable(multiplier: int) -> Callable[[str, int, int, int], list[Layer]]:
    def block(name: str, inputs: int, outputs: int, stride: int) -> list[Layer]:
        spread = inputs * multiplier
        return [
            Layer(f"{name}.depthwise", "depthwise", inputs, spread, kernel=3, stride=stride),
            Layer(f"{name}.pointwise", "pointwise", spread, outputs),
        ]

    return block
