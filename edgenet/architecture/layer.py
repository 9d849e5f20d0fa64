"""One layer of a network, as a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["conv", "depthwise", "pointwise", "linear", "pool", "add", "multiply", "hard_swish"]
Activation = Literal["none", "relu", "relu6", "hard_sigmoid"]

CONVOLUTIONS: frozenset[Kind] = frozenset({"conv", "depthwise", "pointwise"})


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, which reads what the layer before it gives.

    Attributes:
        name: dotted, unique in the network, as in the torch model.
        kind: what it computes; ``pool`` is the mean of each channel.
        inputs: input channels.
        outputs: output channels.
        kernel: side of the square kernel, in pixels.
        stride: in pixels, the same in both directions.
        activation: follows a layer with weights and is fused into it.
        bias: of a convolution, which has it in place of batch norm; ``linear`` always has one.
        second: ``add`` and ``multiply`` read the output of the layer of this name as well; a
            ``multiply`` scales its channels.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    activation: Activation = "none"
    bias: bool = False
    second: str = ""

    @property
    def normalized(self) -> bool:
        """Whether batch norm follows."""
        return self.kind in CONVOLUTIONS and not self.bias
