"""One network out of a family, and the names that say which."""

from __future__ import annotations

import re

from edgenet.architecture.blocks import Place, activated
from edgenet.architecture.families import ARCHITECTURES
from edgenet.architecture.layer import Layer
from edgenet.errors import UsageError, unknown


def network(
    arch: str, *, alpha: float, classes: int, depth_multiplier: int = 1, standard: bool = False
) -> tuple[Layer, ...]:
    """The layers of ``arch``, first to last.

    Args:
        arch: a key of ``ARCHITECTURES``.
        alpha: width multiplier of stem, blocks and head.  What is widest and decides between
            classes, V2's head and V3's hidden layer, grows with alpha but does not shrink.
        classes: outputs of the classifier.
        depth_multiplier: depthwise kernels per channel.
        standard: the twin with one standard convolution in place of each depthwise and the
            pointwise one that follows it; without squeeze and excite.

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
    scale, last = family.width, max(alpha, 1.0)
    width = scale(family.stem * (1 if family.least_stem and alpha < 0.75 else alpha))
    stem = Layer("stem", "conv", 3, width, kernel=3, stride=family.stem_stride)
    layers = activated(stem, family.activation)
    for index, block in enumerate(family.blocks):
        outputs = scale(block.channels * alpha)
        place = Place(
            f"blocks.{index}", layers[-1].name, width, outputs, depth_multiplier, standard
        )
        layers += block.layers(place)
        width = outputs
    if family.head:
        outputs = scale(family.head * (alpha if family.hidden else last))
        layers += activated(Layer("head", "pointwise", width, outputs), family.activation)
        width = outputs
    layers.append(Layer("pool", "pool", width, width))
    if family.hidden:
        outputs = scale(family.hidden * last)
        layers += activated(Layer("hidden", "linear", width, outputs), family.activation)
        width = outputs
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
