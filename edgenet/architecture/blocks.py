"""The blocks that MobileNets are made of, each a list of layers.

``Separable`` is V1's (arXiv 1704.04861 figure 3), ``Inverted`` V2's and V3's (arXiv 1801.04381
table 1, arXiv 1905.02244 figure 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from edgenet.architecture.layer import Activation, Layer

Width = Callable[[float], int]
"""Channels of a scaled layer from what alpha makes of the table's."""


def at_least_eight(channels: float) -> int:
    """V1's: rounded down, but not below 8.

    >>> at_least_eight(0.33 * 64)
    21
    """
    return max(8, int(channels))


def multiple_of_eight(channels: float) -> int:
    """V2's and V3's: the nearest multiple of 8, none below 90 % of what is asked for.

    ``_make_divisible`` of the reference code and of torchvision.

    >>> [multiple_of_eight(c) for c in (11.2, 18, 24.0, 3)]
    [16, 24, 24, 8]
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands.

    Attributes:
        name: of the block.
        before: name of the layer that it reads.
        inputs: channels of that layer.
        outputs: of the block, scaled.
        depth_multiplier: depthwise kernels per channel.
        standard: whether a standard convolution stands in for each depthwise and pointwise pair.
    """

    name: str
    before: str
    inputs: int
    outputs: int
    depth_multiplier: int
    standard: bool


@dataclass(frozen=True, slots=True)
class Separable:
    """A depthwise and a pointwise convolution, each with ReLU6.

    Attributes:
        channels: given at alpha 1.
        stride: of the depthwise convolution.
    """

    channels: int
    stride: int

    def layers(self, at: Place) -> list[Layer]:
        """The block's layers, first to last."""
        stride = self.stride
        if at.standard:
            return [Layer(f"{at.name}.conv", "conv", at.inputs, at.outputs, 3, stride, "relu6")]
        spread = at.inputs * at.depth_multiplier
        return [
            Layer(f"{at.name}.depthwise", "depthwise", at.inputs, spread, 3, stride, "relu6"),
            Layer(f"{at.name}.pointwise", "pointwise", spread, at.outputs, activation="relu6"),
        ]


@dataclass(frozen=True, slots=True)
class Inverted:
    """Expand, filter each channel, project without an activation; add the input where it fits.

    Attributes:
        channels: given at alpha 1.
        stride: of the depthwise convolution.
        expansion: channels between, for each input channel; with 1 nothing is expanded.
        kernel: side of the depthwise kernels, in pixels.
        squeeze: squeeze and excite: scale each channel by what a small network makes of all means.
        activation: after the first two convolutions.
    """

    channels: int
    stride: int
    expansion: float
    kernel: int = 3
    squeeze: bool = False
    activation: Literal["relu", "relu6", "hard_swish"] = "relu6"

    def layers(self, at: Place) -> list[Layer]:
        """The block's layers, first to last."""
        wide = at.inputs if self.expansion == 1 else multiple_of_eight(at.inputs * self.expansion)
        found: list[Layer] = []
        if self.expansion != 1:
            found += activated(
                Layer(f"{at.name}.expand", "pointwise", at.inputs, wide), self.activation
            )
        if at.standard:
            name = f"{at.name}.conv"
            found.append(Layer(name, "conv", wide, at.outputs, self.kernel, self.stride))
        else:
            spread = wide * at.depth_multiplier
            depthwise = Layer(
                f"{at.name}.depthwise", "depthwise", wide, spread, self.kernel, self.stride
            )
            found += activated(depthwise, self.activation)
            if self.squeeze:
                found += _squeeze(f"{at.name}.squeeze", spread, found[-1].name)
            found.append(Layer(f"{at.name}.project", "pointwise", spread, at.outputs))
        if self.stride == 1 and at.inputs == at.outputs:
            width = at.outputs
            found.append(Layer(f"{at.name}.add", "add", width, width, second=at.before))
        return found


def activated(layer: Layer, activation: Activation | Literal["hard_swish"]) -> list[Layer]:
    """A layer with its activation: fused into it, but for hard-swish, which is a layer."""
    if activation != "hard_swish":
        return [replace(layer, activation=activation)]
    swish = Layer(f"{layer.name}_swish", "hard_swish", layer.outputs, layer.outputs)
    return [layer, swish]


def _squeeze(name: str, width: int, features: str) -> list[Layer]:
    """A gate in [0, 1] for each channel; a quarter of the channels in between."""
    narrow = multiple_of_eight(width / 4)
    return [
        Layer(f"{name}.pool", "pool", width, width),
        Layer(f"{name}.reduce", "pointwise", width, narrow, activation="relu", bias=True),
        Layer(f"{name}.excite", "pointwise", narrow, width, activation="hard_sigmoid", bias=True),
        Layer(f"{name}.scale", "multiply", width, width, second=features),
    ]
