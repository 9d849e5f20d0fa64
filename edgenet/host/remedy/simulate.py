"""The int8 network layer by layer, in float32, beside what each layer is meant to give.

What a layer reads comes from layers that are quantized already, so that a remedy can make up for
their noise too. The arithmetic is that of ``Calibrator.convert``'s graph, but for biases, which are
not rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgenet.architecture import Layer
from edgenet.host.models import Network
from edgenet.host.models.layers import ACTIVATIONS, Convolution, Linear
from edgenet.host.quantize import input_quantization
from edgenet.host.quantizer import weight_scales
from edgenet.host.remedy.candidate import Candidate

Weighted = nn.Conv2d | nn.Linear


@dataclass
class Step:
    """One layer with weights, before those that read it were computed.

    Attributes:
        layer: its record.
        module: of the candidate's network; its weights and bias may be changed in place.
        model: of the float network.
        fed: what the quantized layers before it give, by batch.
        meant: what the float network's layer gives before its activation, by batch.
        stays_float: whether its weights are not quantized.
    """

    layer: Layer
    module: nn.Module
    model: nn.Module
    fed: list[Tensor]
    meant: list[Tensor]
    stays_float: bool

    @property
    def weights(self) -> Weighted:
        """The convolution or linear layer itself."""
        return weights_of(self.module)

    def given(self) -> Iterator[Tensor]:
        """What the layer gives before its activation, with the weights as they are now."""
        quantized = self.weights.weight if self.stays_float else on_codes(self.weights)
        for batch in self.fed:
            yield sums(self.module, batch, quantized)


def walk(candidate: Candidate, batches: Sequence[Tensor]) -> Iterator[Step]:
    """Every layer with weights, in order; changes made to one are seen by the next."""
    assert isinstance(candidate.network, Network)
    network, reference = candidate.network, candidate.reference
    steps = _steps(candidate)
    pictures = [batch.permute(0, 3, 1, 2) for batch in batches]
    fed, meant = [_input(candidate, batch) for batch in pictures], pictures
    kept: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    second = {layer.second for layer in network.layers}
    for layer in network.layers:
        module, model = (n.get_submodule(layer.name) for n in (network, reference))
        if has_weights(module):
            meant = [sums(model, batch) for batch in meant]
            step = Step(layer, module, model, fed, meant, layer.name in candidate.keep_float)
            yield step
            fed = [activated(module, batch) for batch in step.given()]
            meant = [activated(model, batch) for batch in meant]
        else:
            others = kept.get(layer.second)
            fed = _computed(module, fed, others and others[0])
            meant = _computed(model, meant, others and others[1])
        if layer.name in steps:
            fed = [_rounded(batch, *steps[layer.name]) for batch in fed]
        if layer.name in second:
            kept[layer.name] = fed, meant


def has_weights(module: nn.Module) -> bool:
    """Whether a layer multiplies by weights."""
    return isinstance(module, Convolution | nn.Linear)


def weights_of(module: nn.Module) -> Weighted:
    """The convolution or linear layer of a layer that has one."""
    found = module.conv if isinstance(module, Convolution) else module
    assert isinstance(found, nn.Conv2d | nn.Linear)
    return found


@torch.no_grad()
def sums(module: nn.Module, x: Tensor, weight: Tensor | None = None) -> Tensor:
    """What a layer gives before its activation, with other weights if there are any."""
    name = "conv.weight" if isinstance(module, Convolution) else "weight"
    assert isinstance(module, Convolution | Linear)
    activation, module.activation = module.activation, "none"
    try:
        other = {} if weight is None else {name: weight}
        return torch.func.functional_call(module, other, (x,))  # type: ignore[no-any-return]
    finally:
        module.activation = activation


def activated(module: nn.Module, x: Tensor) -> Tensor:
    """The activation of a layer with weights."""
    return ACTIVATIONS[module.activation](x)  # type: ignore[index]


def scales(weights: Weighted) -> Tensor:
    """Of the weights' codes, by output channel; one of a linear layer."""
    per_channel = isinstance(weights, nn.Conv2d)
    return weight_scales(weights.weight.detach(), per_channel=per_channel)


def on_codes(weights: Weighted) -> Tensor:
    """The weights, each rounded to the nearest code."""
    step = scales(weights)
    return (weights.weight.detach() / step).round().clamp(-127, 127) * step


@torch.no_grad()
def _computed(module: nn.Module, x: list[Tensor], second: list[Tensor] | None) -> list[Tensor]:
    if second is None:
        return [module(batch) for batch in x]
    return [module(batch, other) for batch, other in zip(x, second, strict=True)]


def _steps(candidate: Candidate) -> dict[str, tuple[float, int]]:
    """Scale and zero point of each quantized activation, by its layer's name."""
    found = {}
    for name, observer in candidate.calibrator().observers.items():
        scale, zero_point = observer.calculate_qparams()
        found[name] = float(scale), int(zero_point)
    return found


def _rounded(x: Tensor, scale: float, zero_point: int) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)


def _input(candidate: Candidate, pictures: Tensor) -> Tensor:
    found = input_quantization(candidate.spec.preprocess)
    return _rounded(pictures, found.scale, found.zero_point)
