"""One module per layer record, one network per ModelSpec."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgenet.architecture import Layer, network
from edgenet.spec import ModelSpec

# TensorFlow's MobileNet uses 1e-3; a larger epsilon also keeps folded scales of dead channels small
NORM_EPS = 1e-3


class ConvNormRelu(nn.Module):
    """Convolution, batch norm, ReLU6: (N, inputs, H, W) to (N, outputs, ceil(H/s), ceil(W/s))."""

    def __init__(self, layer: Layer, *, padding: str = "same") -> None:
        super().__init__()
        # TensorFlow's SAME pads a strided convolution by the input's size, so it is done in forward
        self.same_by_size = padding == "same" and layer.stride > 1
        self.depthwise = layer.kind == "depthwise"
        self.conv = nn.Conv2d(
            layer.inputs,
            layer.outputs,
            layer.kernel,
            stride=layer.stride,
            padding=0 if self.same_by_size else layer.kernel // 2,
            groups=layer.inputs if self.depthwise else 1,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(layer.outputs, eps=NORM_EPS)
        fan_out = layer.kernel**2 * layer.outputs / self.conv.groups
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / fan_out))

    def forward(self, x: Tensor) -> Tensor:
        if self.same_by_size:
            kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
            top, bottom = same_padding(x.shape[2], kernel, stride)
            left, right = same_padding(x.shape[3], kernel, stride)
            x = functional.pad(x, (left, right, top, bottom))
        return functional.relu6(self.norm(self._convolve(x)))

    def _convolve(self, x: Tensor) -> Tensor:
        if self.depthwise and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # oneDNN's gradient of a depthwise convolution takes 3 times as long in bfloat16
            with torch.autocast("cpu", enabled=False):
                return self.conv(x.float())  # type: ignore[no-any-return]
        return self.conv(x)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Named layers, one after the other."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class Network(nn.Module):
    """Normalized float32 pictures (N, 3, H, W) in, logits (N, classes) out."""

    def __init__(self, layers: tuple[Layer, ...], *, padding: str = "same") -> None:
        super().__init__()
        blocks: dict[str, dict[str, nn.Module]] = {}
        for layer in layers:
            if layer.name.startswith("blocks."):
                _, index, name = layer.name.split(".")
                blocks.setdefault(index, {})[name] = ConvNormRelu(layer, padding=padding)
        self.stem = ConvNormRelu(layers[0], padding=padding)
        self.blocks = nn.Sequential(*(Block(block) for block in blocks.values()))
        self.classifier = nn.Linear(layers[-1].inputs, layers[-1].outputs)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        if x.shape[2:] != (1, 1):  # of one pixel the mean would become an operator of its own, SUM
            # keepdim and flatten, not mean to two dimensions: so litert-torch needs no TRANSPOSE
            x = x.mean((2, 3), keepdim=True)
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


def build(spec: ModelSpec, *, standard: bool = False) -> Network:
    """The network of ``spec`` with fresh weights; ``standard`` builds its twin.

    Raises:
        UsageError: the spec names no network.
    """
    layers = network(
        spec.arch,
        alpha=spec.alpha,
        classes=len(spec.labels),
        depth_multiplier=spec.depth_multiplier,
        standard=standard,
    )
    return Network(layers, padding=spec.padding)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, as TensorFlow's SAME: the odd one goes after.

    >>> same_padding(224, 3, 2)
    (0, 1)
    >>> same_padding(25, 3, 2)
    (1, 1)
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
