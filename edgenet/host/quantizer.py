"""Which tensors become int8, and with which observer: the annotation step of PT2E.

Every activation is quantized once, where it is produced, and every consumer shares those
parameters; so the graph has no requantization that the device would have to run.  What a residual
sum adds and what it gives share one scale and zero point: the sum of two codes is then exact, the
same on every engine, and rounds nothing.
Layers may stay float: their input is dequantized, and their result quantized unless the next stays
float as well.
Rules of the TFLite int8 specification: activations per tensor, asymmetric, [-128, 127]; weights per
output channel, symmetric, [-127, 127]; bias int32 with scale = input scale * weight scale.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from edgenet.errors import UsageError, unknown
from edgenet.host.observer import PercentileObserver
from edgenet.host.quiet import quiet_exporters

with quiet_exporters():
    from torchao.quantization.pt2e import (
        HistogramObserver,
        MinMaxObserver,
        PerChannelMinMaxObserver,
    )
    from torchao.quantization.pt2e.quantizer import (
        FixedQParamsQuantizationSpec,
        QuantizationAnnotation,
        QuantizationSpec,
        Quantizer,
        SharedQuantizationSpec,
    )
    from torchao.quantization.pt2e.quantizer.quantizer import QuantizationSpecBase

aten = torch.ops.aten

# Observed ranges narrower than 255 * EPS are widened, so that a dead layer gets a usable scale.
EPS = 2**-12

CALIBRATION_METHODS = {
    "minmax": MinMaxObserver,
    "percentile": PercentileObserver,
    "mse": HistogramObserver,
}

_CHANNEL_WEIGHT = QuantizationSpec(
    torch.int8,
    PerChannelMinMaxObserver.with_args(eps=EPS),
    -127,
    127,
    torch.per_channel_symmetric,
    ch_axis=0,
)
_TENSOR_WEIGHT = QuantizationSpec(
    torch.int8, MinMaxObserver.with_args(eps=EPS), -127, 127, torch.per_tensor_symmetric
)

RELU6 = {aten.hardtanh.default, aten.hardtanh_.default, aten.relu6.default}
RELU = {aten.relu.default, aten.relu_.default}
CLAMPS = RELU6 | RELU
_MOVES_DATA = {
    aten.permute.default,
    aten.flatten.using_ints,
    aten.reshape.default,
    aten.view.default,
}
WEIGHTED = {aten.conv2d.default, aten.linear.default}
AVERAGES = {aten.mean.dim}
SUMS = {aten.add.Tensor}
PRODUCTS = {aten.mul.Tensor}
HARD_SWISH = {aten.hardswish.default, aten.hardswish_.default}
# each gives an activation with a range of its own
_COMPUTES = AVERAGES | PRODUCTS | HARD_SWISH
PRODUCERS = CLAMPS | WEIGHTED | SUMS | _COMPUTES


def weight_scales(weight: Tensor, *, per_channel: bool) -> Tensor:
    """Scales of a layer's int8 weights as conversion makes them, shaped so as to divide these.

    The largest weight, of the layer or of each output channel, is code 127 or -127.
    """
    dims = list(range(int(per_channel), weight.ndim))
    return (weight.abs().amax(dims, keepdim=True) / 127).clamp(min=EPS)


@dataclass(frozen=True)
class InputQuantization:
    """The fixed scale and zero point of the model's input: real = scale * (q - zero_point)."""

    scale: float
    zero_point: int


class Int8Quantizer(Quantizer):  # type: ignore[misc]
    """Annotates a network of the layers of ``edgenet.architecture``.

    Args:
        inputs: fixed quantization of the input.
        method: a key of ``CALIBRATION_METHODS``.
        per_channel: weights per output channel; False gives one scale a layer, which depthwise
            layers survive badly.
        keep_float: layers with weights, by their names, whose weights and sums stay float32.

    Raises:
        UsageError: ``annotate`` meets a network that has no such layer.
    """

    def __init__(
        self,
        inputs: InputQuantization,
        *,
        method: str = "minmax",
        per_channel: bool = True,
        keep_float: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.keep_float = frozenset(keep_float)
        self.input = FixedQParamsQuantizationSpec(
            torch.int8, inputs.scale, inputs.zero_point, -128, 127, torch.per_tensor_affine
        )
        self.activation = QuantizationSpec(
            torch.int8,
            CALIBRATION_METHODS[method].with_args(eps=EPS),
            -128,
            127,
            torch.per_tensor_affine,
        )
        self.conv_weight = _CHANNEL_WEIGHT if per_channel else _TENSOR_WEIGHT

    def annotate(self, model: GraphModule) -> GraphModule:
        weighted = {layer_name(node) for node in model.graph.nodes if node.target in WEIGHTED}
        for name in self.keep_float - weighted:
            raise UsageError(unknown("layer with weights", name, weighted))
        for node in model.graph.nodes:
            annotation = self._annotation(node)
            if annotation is not None:
                annotation._annotated = True
                node.meta["quantization_annotation"] = annotation
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to check: what is not annotated stays float and the operator census fails."""

    def _annotation(self, node: Node) -> QuantizationAnnotation | None:
        if node.op == "placeholder":
            return QuantizationAnnotation({}, self.input)
        if node.target in WEIGHTED:
            return self._weighted(node)
        if node.target in CLAMPS:
            return QuantizationAnnotation({}, self._result(node))
        if node.target in _MOVES_DATA:
            shared = SharedQuantizationSpec(node.args[0])
            return QuantizationAnnotation({node.args[0]: shared}, shared)
        if node.target in SUMS:
            terms = cast(tuple[Node, Node], node.args[:2])
            shared = SharedQuantizationSpec(terms[0])
            return QuantizationAnnotation(dict.fromkeys(terms, shared), shared)
        if node.target in _COMPUTES:
            inputs = [argument for argument in node.args if isinstance(argument, Node)]
            return QuantizationAnnotation(
                {source: SharedQuantizationSpec(source) for source in inputs}, self.activation
            )
        return None

    def _stays_float(self, node: Node) -> bool:
        return node.target in WEIGHTED and layer_name(node) in self.keep_float

    def _result(self, node: Node) -> QuantizationSpecBase | None:
        """Of an activation: none where only layers that stay float read it."""
        return None if self._float_readers(node) else self.activation

    def _float_readers(self, node: Node) -> bool:
        """Whether a layer that stays float gives this node, and only such layers read it."""
        source = cast(Node, node.args[0]) if node.target in CLAMPS else node
        if not self._stays_float(source):
            return False
        readers = [r for user in node.users for r in (user.users if _is_pad(user) else [user])]
        return all(self._stays_float(reader) for reader in readers)

    def _weighted(self, node: Node) -> QuantizationAnnotation:
        users = list(node.users)
        fused = len(users) == 1 and users[0].target in CLAMPS
        result = None if fused else self._result(node)
        if self._stays_float(node):
            return QuantizationAnnotation({}, result)
        source, weight = (cast(Node, argument) for argument in node.args[:2])
        producer = source
        # older runtimes and MCU kernels have no per-channel linear layer
        is_conv = node.target == aten.conv2d.default
        inputs: dict[Any, QuantizationSpecBase] = {
            weight: self.conv_weight if is_conv else _TENSOR_WEIGHT
        }
        if _is_pad(source):
            # the zeros of a padding are exact in any scale, so it needs no quantization of its own
            producer = cast(Node, source.args[0])
            source.meta["quantization_annotation"] = QuantizationAnnotation(
                {producer: SharedQuantizationSpec(producer)}, None, _annotated=True
            )
        else:
            inputs[source] = SharedQuantizationSpec(source)
        return QuantizationAnnotation(inputs, result)


def layer_name(node: Node) -> str:
    """The dotted name of the layer that a node belongs to."""
    path, _ = list(node.meta["nn_module_stack"].values())[-1]
    return str(path.removeprefix("network.").removesuffix(".conv"))


def _is_pad(node: Node) -> bool:
    return node.target == aten.pad.default
