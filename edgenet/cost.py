"""What a network costs, from closed formulas: parameters, multiply-adds, int8 bytes.

With a kernel of side D_K, M input and N output channels and an output map of D_F x D_F
(arXiv 1704.04861 section 3.1)::

    standard convolution    D_K * D_K * M * N * D_F * D_F
    depthwise separable     D_K * D_K * M * D_F * D_F  +  M * N * D_F * D_F
    their ratio             1 / N  +  1 / D_K^2

Multiply-adds are of convolutions and of linear layers, as the papers count them; pools, batch norm,
residual sums, the scaling of squeeze and excite and hard-swish have none here, but their maps take
memory: a map is alive from the layer that gives it to the last one that reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from edgenet.architecture import Layer, network
from edgenet.errors import UsageError

Part = Literal["depthwise", "pointwise", "rest"]
PARTS: tuple[Part, ...] = ("depthwise", "pointwise", "rest")


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer at one input size.

    Attributes:
        layer: what is counted.
        input: height, width, channels of what it reads.
        output: height, width, channels of what it gives.
        kernel_weights: numbers in its kernels, without biases.
        multiply_adds: for one picture.
        held: values of other maps that are alive meanwhile: a residual block's input, what squeeze
            and excite scales.
    """

    layer: Layer
    input: tuple[int, int, int]
    output: tuple[int, int, int]
    kernel_weights: int
    multiply_adds: int
    held: int = 0

    @property
    def normalized(self) -> int:
        """Channels that batch norm follows; each has a factor and an offset to train."""
        return self.layer.outputs if self.layer.normalized else 0

    @property
    def weights(self) -> int:
        """Kernel and bias without batch norm, in whose place linear layers have a bias."""
        has_bias = self.layer.bias or self.layer.kind == "linear"
        return self.kernel_weights + (self.layer.outputs if has_bias else 0)

    @property
    def parameters(self) -> int:
        """Trainable numbers, batch norm's factor and offset among them."""
        return self.weights + 2 * self.normalized

    @property
    def int8_bytes(self) -> int:
        """Bytes once batch norm is folded in: int8 kernels, one int32 bias per output channel."""
        return self.kernel_weights + 4 * self.layer.outputs if self.kernel_weights else 0

    @property
    def activation_bytes(self) -> int:
        """Bytes of the int8 maps that are alive while the layer runs: input, output and others."""
        return _volume(self.input) + _volume(self.output) + self.held

    @property
    def part(self) -> Part:
        """The part of the network that the layer is counted under."""
        kind = self.layer.kind
        return kind if kind in ("depthwise", "pointwise") else "rest"


@dataclass(frozen=True, slots=True)
class Cost:
    """All layers of a network at one input size, first to last."""

    layers: tuple[LayerCost, ...]

    @property
    def weights(self) -> int:
        """Kernels and biases without batch norm."""
        return sum(layer.weights for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable numbers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def state(self) -> int:
        """Trainable numbers and batch norm's running means and variances."""
        return self.parameters + 2 * sum(layer.normalized for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """For one picture."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def int8_bytes(self) -> int:
        """Weights and biases of the int8 model; a file adds its graph and scales."""
        return sum(layer.int8_bytes for layer in self.layers)

    @property
    def peak(self) -> LayerCost:
        """The layer during which the int8 maps that are alive take the most bytes."""
        return max(self.layers, key=lambda layer: layer.activation_bytes)

    def of(self, part: Part) -> Cost:
        """The layers of one part alone."""
        return Cost(tuple(layer for layer in self.layers if layer.part == part))


@dataclass(frozen=True, slots=True)
class Block:
    """A depthwise separable block beside the standard convolution that it replaces.

    Attributes:
        name: dotted, what its two layers share.
        last: name of the pointwise layer.
        multiply_adds: of the depthwise and the pointwise layer.
        standard: multiply-adds of one convolution with the same kernel, channels and output.
    """

    name: str
    last: str
    multiply_adds: int
    standard: int

    @property
    def ratio(self) -> float:
        """1/N + 1/D_K^2 for one depthwise kernel per channel."""
        return self.multiply_adds / self.standard


@dataclass(frozen=True, slots=True)
class Configuration:
    """The numbers that pick one network out of a family.

    Attributes:
        arch: the family's name.
        alpha: width multiplier.
        height: rows of the input, in pixels.
        width: columns of the input, in pixels.
        classes: outputs of the classifier.
        depth_multiplier: depthwise kernels per input channel.
    """

    arch: str
    alpha: float
    height: int
    width: int
    classes: int
    depth_multiplier: int = 1

    def cost(self, *, standard: bool = False) -> Cost:
        """The cost of this network, or of its standard-convolution twin.

        Raises:
            UsageError: a number that makes no network.
        """
        layers = network(
            self.arch,
            alpha=self.alpha,
            classes=self.classes,
            depth_multiplier=self.depth_multiplier,
            standard=standard,
        )
        return count(layers, self.height, self.width)


def count(layers: Iterable[Layer], height: int, width: int) -> Cost:
    """The cost of ``layers`` on an input of ``height`` x ``width`` pixels.

    Raises:
        UsageError: a side below 1 pixel or above 4096.
    """
    for side in (height, width):
        if not 1 <= side <= 4096:
            raise UsageError(f"the input's side is {side} pixels; it must be from 1 to 4096")
    layers = tuple(layers)
    counted: list[LayerCost] = []
    shapes: dict[str, tuple[int, int, int]] = {}
    last_read = {layer.second: place for place, layer in enumerate(layers) if layer.second}
    shape = height, width, layers[0].inputs if layers else 0
    before = ""
    for place, layer in enumerate(layers):
        others = [n for n in shapes if n != before and last_read.get(n, -1) >= place]
        held = sum(_volume(shapes[name]) for name in others)
        one = _layer(layer, *shape[:2], scaled=shapes.get(layer.second))
        counted.append(replace(one, held=held))
        before, shape = layer.name, one.output
        shapes[before] = shape
    return Cost(tuple(counted))


def blocks(cost: Cost) -> tuple[Block, ...]:
    """Each depthwise layer of ``cost`` with the normalized pointwise layer that comes after it."""
    found = []
    first: LayerCost | None = None
    for second in cost.layers:
        if second.part == "depthwise":
            first = second
        elif first and second.part == "pointwise" and second.layer.normalized:
            depthwise, pointwise = first.layer, second.layer
            twin = Layer("", "conv", depthwise.inputs, pointwise.outputs, depthwise.kernel)
            found.append(
                Block(
                    name=depthwise.name.removesuffix(".depthwise"),
                    last=pointwise.name,
                    multiply_adds=first.multiply_adds + second.multiply_adds,
                    standard=_layer(twin, *first.output[:2]).multiply_adds,
                )
            )
            first = None
    return tuple(found)


def _layer(
    layer: Layer, height: int, width: int, scaled: tuple[int, int, int] | None = None
) -> LayerCost:
    """One layer; SAME padding and a torch padding of half the kernel round up alike.

    Args:
        layer: what is counted.
        height: rows of its input.
        width: columns of its input.
        scaled: shape of the map whose channels a ``multiply`` scales.
    """
    down, across = -(-height // layer.stride), -(-width // layer.stride)
    kernel = layer.kernel**2
    match layer.kind:
        case "depthwise":
            kernel_weights = kernel * layer.outputs
        case "pool":
            down, across, kernel_weights = 1, 1, 0
        case "multiply" if scaled:
            down, across, kernel_weights = *scaled[:2], 0
        case "add" | "multiply" | "hard_swish":
            kernel_weights = 0
        case _:
            kernel_weights = kernel * layer.inputs * layer.outputs
    return LayerCost(
        layer=layer,
        input=(height, width, layer.inputs),
        output=(down, across, layer.outputs),
        kernel_weights=kernel_weights,
        multiply_adds=kernel_weights * down * across,
    )


def _volume(shape: tuple[int, int, int]) -> int:
    height, width, channels = shape
    return height * width * channels
