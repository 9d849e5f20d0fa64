"""What each layer record becomes in torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgenet.architecture import CONVOLUTIONS, Activation, Layer

# TensorFlow's MobileNet uses 1e-3; a larger epsilon also keeps folded scales of dead channels small
NORM_EPS = 1e-3

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hard_sigmoid": functional.hardsigmoid,
}


class Convolution(nn.Module):
    """Convolution, batch norm or bias, activation: (N, C, H, W) to (N, O, ceil(H/s), ceil(W/s)).

    Args:
        layer: of a kind of ``CONVOLUTIONS``.
        padding: ``same`` is TensorFlow's SAME, ``symmetric`` is half the kernel on every side.
    """

    def __init__(self, layer: Layer, *, padding: str = "same") -> None:
        super().__init__()
        # TensorFlow's SAME pads a strided convolution by the input's size, so it is done in forward
        self.same_by_size = padding == "same" and layer.stride > 1
        self.depthwise = layer.kind == "depthwise"
        self.activation = layer.activation
        self.conv = nn.Conv2d(
            layer.inputs,
            layer.outputs,
            layer.kernel,
            stride=layer.stride,
            padding=0 if self.same_by_size else layer.kernel // 2,
            groups=layer.inputs if self.depthwise else 1,
            bias=layer.bias,
        )
        fan_out = layer.kernel**2 * layer.outputs / self.conv.groups
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / fan_out))
        self.norm: nn.Module
        if layer.normalized:
            self.norm = nn.BatchNorm2d(layer.outputs, eps=NORM_EPS)
        else:
            self.norm = nn.Identity()
            nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        if self.same_by_size:
            kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
            top, bottom = same_padding(x.shape[2], kernel, stride)
            left, right = same_padding(x.shape[3], kernel, stride)
            x = functional.pad(x, (left, right, top, bottom))
        return ACTIVATIONS[self.activation](self.norm(self._convolve(x)))

    def _convolve(self, x: Tensor) -> Tensor:
        if self.depthwise and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # oneDNN's gradient of a depthwise convolution takes 3 times as long in bfloat16
            with torch.autocast("cpu", enabled=False):
                return self.conv(x.float())  # type: ignore[no-any-return]
        return self.conv(x)  # type: ignore[no-any-return]


class Linear(nn.Linear):
    """A linear layer of flat features, with its activation: (N, C) or (N, C, 1, 1) to (N, O)."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer.inputs, layer.outputs)
        self.activation = layer.activation
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](super().forward(x.flatten(1)))


class Pool(nn.Module):
    """The mean of each channel: (N, C, H, W) to (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        # of one pixel the mean would become an operator of its own, SUM; and keepdim and flatten,
        # not mean to two dimensions: so litert-torch needs no TRANSPOSE
        return x if x.shape[2:] == (1, 1) else x.mean((2, 3), keepdim=True)


class Add(nn.Module):
    """The residual sum of two maps of one shape."""

    def forward(self, x: Tensor, second: Tensor) -> Tensor:
        return second + x


class Multiply(nn.Module):
    """Channels scaled by a gate: gate (N, C, 1, 1) and map (N, C, H, W) to (N, C, H, W)."""

    def forward(self, x: Tensor, second: Tensor) -> Tensor:
        return second * x


def module(layer: Layer, *, padding: str) -> nn.Module:
    """The torch module of a layer, with fresh weights."""
    if layer.kind in CONVOLUTIONS:
        return Convolution(layer, padding=padding)
    if layer.kind == "linear":
        return Linear(layer)
    plain = {"pool": Pool, "add": Add, "multiply": Multiply, "hard_swish": nn.Hardswish}
    return plain[layer.kind]()


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, as TensorFlow's SAME: the odd one goes after.

    >>> same_padding(224, 3, 2)
    (0, 1)
    >>> same_padding(25, 3, 2)
    (1, 1)
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
