"""The network with int8's rounding in it, to be trained: PT2E's prepared graph.

Activations are rounded to a range that is a moving average of each batch's extremes, weights to the
extremes that they have now; gradients pass what lies within (arXiv 1712.05877 section 3). What
shares one scale in int8 shares it here: extremes are those of all tensors that have it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from edgenet.host.models.folded import folded
from edgenet.host.quantize import activation_observers, input_quantization, traced
from edgenet.host.quantizer import EPS, Int8Quantizer, weight_scales
from edgenet.host.quiet import quiet_exporters
from edgenet.spec import ModelSpec

with quiet_exporters():
    from torchao.quantization.pt2e import FakeQuantizeBase
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer import (
        FixedQParamsQuantizationSpec,
        QuantizationSpec,
    )

aten = torch.ops.aten

_PREFIX = "network."


class _Rounded(torch.autograd.Function):
    """x to the nearest multiple of ``scale`` from ``low`` to ``high``; a gradient within passes.

    torch's own operator (``fake_quantize_per_tensor_affine``) takes 8 times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.limits = low, high
        return x.clamp(low, high).div_(scale).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return aten.hardtanh_backward(gradients[0], x, *ctx.limits), None, None, None


def _rounded(x: Tensor, scale: float, low: float, high: float) -> Tensor:
    return _Rounded.apply(x, scale, low, high)  # type: ignore[no-any-return,no-untyped-call]


class Activation(FakeQuantizeBase):  # type: ignore[misc]
    """Rounds to codes -128..127 of a range that contains zero, and in training sees extremes.

    Attributes:
        low: the range's smallest value, so far as it was seen.
        high: its largest.
        rounds: False lets everything through.
    """

    low: Tensor
    high: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.rounds = True
        for name, value, kept in (
            ("low", 0.0, True),
            ("high", 0.0, True),
            ("least", torch.inf, False),
            ("most", -torch.inf, False),
        ):
            self.register_buffer(name, torch.tensor(value), persistent=kept)
        self.calculate_qparams()

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()  # autocast computes sums in fewer bits, which are no codes
        if self.training:
            seen = x.detach()
            self.least = torch.minimum(self.least, seen.amin())
            self.most = torch.maximum(self.most, seen.amax())
        if not self.rounds:
            return x
        return _rounded(x, self.scale, *self.limits)

    def settle(self, share: float) -> None:
        """Moves the range towards what was seen since the last call, by this share of the way."""
        if bool(self.least <= self.most):
            self.low.lerp_(self.least, share)
            self.high.lerp_(self.most, share)
            self.least = torch.full_like(self.least, torch.inf)
            self.most = torch.full_like(self.most, -torch.inf)
        self.calculate_qparams()

    def calculate_qparams(self, **_: Any) -> tuple[float, int]:
        """Scale and zero point as calibration makes them of a range, bit for bit."""
        low, high = self.low.clamp(max=0), self.high.clamp(min=0)
        step = ((high - low) / 255).clamp(min=EPS)
        zero_point = int((-128 - torch.round(low / step)).clamp(-128, 127))
        self.scale = float(step)
        self.limits = (-128 - zero_point) * self.scale, (127 - zero_point) * self.scale
        return self.scale, zero_point

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.calculate_qparams()


class Input(FakeQuantizeBase):  # type: ignore[misc]
    """Rounds the input to the codes that pixels have."""

    def __init__(self, *, scale: float, zero_point: int, **_: Any) -> None:
        super().__init__()
        self.scale = scale
        self.limits = (-128 - zero_point) * scale, (127 - zero_point) * scale

    def calculate_qparams(self, **_: Any) -> tuple[float, int]:
        return self.scale, round(-128 - self.limits[0] / self.scale)

    def forward(self, x: Tensor) -> Tensor:
        return _rounded(x, self.scale, *self.limits)


class Weight(FakeQuantizeBase):  # type: ignore[misc]
    """Rounds weights to codes -127..127, one scale a layer or one per output channel."""

    def __init__(self, *, qscheme: torch.qscheme, **_: Any) -> None:
        super().__init__()
        self.per_channel = qscheme == torch.per_channel_symmetric

    def calculate_qparams(self, weight: Tensor) -> Tensor:
        return weight_scales(weight, per_channel=self.per_channel)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            scale = self.calculate_qparams(weight)
            moved = (weight / scale).round_().mul_(scale).sub_(weight)
        return weight + moved


class TrainingQuantizer(Int8Quantizer):
    """Annotates what ``Int8Quantizer`` does, for training."""

    def annotate(self, model: GraphModule) -> GraphModule:
        for node in super().annotate(model).graph.nodes:
            annotation = node.meta.get("quantization_annotation")
            if annotation is None:
                continue
            annotation.output_qspec = _in_training(annotation.output_qspec)
            annotation.input_qspec_map = {
                source: _in_training(spec) for source, spec in annotation.input_qspec_map.items()
            }
        return model


def _in_training(spec: Any) -> Any:
    if isinstance(spec, FixedQParamsQuantizationSpec):
        rounder = Input.with_args(scale=spec.scale, zero_point=spec.zero_point)
        return QuantizationSpec(spec.dtype, rounder, qscheme=spec.qscheme)
    if not isinstance(spec, QuantizationSpec):
        return spec
    rounder = Activation if spec.qscheme == torch.per_tensor_affine else Weight
    return dataclasses.replace(spec, observer_or_fake_quant_ctr=rounder)


class FakeQuantized(nn.Module):
    """A network whose every layer gives what int8 will give, to rounding's last bit or so.

    Args:
        network: float32, with or without batch norms.
        spec: what it was built from.
        keep_float: layers that stay float in int8, as ``Calibrator`` takes them.
    """

    def __init__(
        self, network: nn.Module, spec: ModelSpec, *, keep_float: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.classes = len(spec.labels)
        quantizer = TrainingQuantizer(input_quantization(spec.preprocess), keep_float=keep_float)
        graph = traced(folded(network), spec)
        with quiet_exporters():
            self.graph: GraphModule = prepare_qat_pt2e(graph, quantizer)
        self.activations: dict[str, Activation] = activation_observers(self.graph)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (N, classes) of normalized float32 pictures (N, 3, H, W)."""
        return self.graph(pictures.permute(0, 2, 3, 1))  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> FakeQuantized:
        """Ranges are observed in training; the graph has nothing else that differs."""
        self.training = mode
        for activation in self.activations.values():
            activation.training = mode
        return self

    def observe(self, batches: Iterable[Tensor]) -> None:
        """Sets the ranges to the extremes in pictures (N, 3, H, W), of unrounded activations."""
        self.train()
        self._round(False)
        with torch.no_grad():
            for batch in batches:
                self(batch)
        self._round(True)
        self.settle(1.0)

    def settle(self, share: float) -> None:
        """Moves all ranges towards what was seen since the last call."""
        for activation in dict.fromkeys(self.activations.values()):
            activation.settle(share)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Of every activation, by layer, as ``Calibrator.apply`` takes them."""
        return {name: (float(a.low), float(a.high)) for name, a in self.activations.items()}

    def weights(self) -> dict[str, Tensor]:
        """Of ``folded(network)``, as int8 is to be made of them."""
        return {
            name.removeprefix(_PREFIX): parameter.detach()
            for name, parameter in self.graph.named_parameters()
        }

    def _round(self, rounds: bool) -> None:
        for activation in self.activations.values():
            activation.rounds = rounds
