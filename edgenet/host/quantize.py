"""A float network to one int8 graph, from pictures or from ranges recorded with the checkpoint.

PT2E: trace, insert observers, observe, convert. The graph takes and gives float32 and holds
quantize/dequantize pairs; every exported format is a translation of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from edgenet.errors import CheckpointError, ExportError
from edgenet.host.models.deployed import deployed
from edgenet.host.quantizer import (
    CLAMPS,
    PRODUCERS,
    RELU6,
    WEIGHTED,
    InputQuantization,
    Int8Quantizer,
    layer_name,
)
from edgenet.host.quiet import quiet_exporters
from edgenet.spec import ModelSpec, Preprocess

with quiet_exporters():
    from torchao.quantization.pt2e import MinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

quantized = torch.ops.quantized_decomposed

_DEQUANTIZE = {
    quantized.dequantize_per_channel.default,
    quantized.dequantize_per_tensor.default,
}

Ranges = Mapping[str, tuple[float, float]]


class ChannelsLast(nn.Module):
    """The network as devices run it, its input as cameras and TFLite have it: (N, H, W, 3)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = deployed(network)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.permute(0, 3, 1, 2))  # type: ignore[no-any-return]


def example_input(spec: ModelSpec) -> Tensor:
    """One black picture, float32 (1, H, W, 3)."""
    return torch.zeros(1, spec.preprocess.height, spec.preprocess.width, 3)


def traced(network: nn.Module, spec: ModelSpec) -> GraphModule:
    """The network's graph in evaluation mode, for any number of pictures; it shares the weights."""
    model = ChannelsLast(network).eval()
    pictures = example_input(spec).repeat(2, 1, 1, 1)
    any_number = ({0: torch.export.Dim("pictures")},)
    with quiet_exporters():
        exported = torch.export.export(model, (pictures,), dynamic_shapes=any_number)
        return exported.module()


def input_quantization(preprocess: Preprocess) -> InputQuantization:
    """Scale and zero point for which the int8 input is the pixel minus 128.

    real = (pixel / 255 - mean) / std, so scale = 1 / (255 std) and the zero point is the pixel that
    means zero, minus 128. It is exact for mean 0 and within half a pixel step otherwise.

    Raises:
        ExportError: mean or std differ between channels, for which no such pair exists.
    """
    if len(set(preprocess.mean)) > 1 or len(set(preprocess.std)) > 1:
        raise ExportError(
            f"mean {preprocess.mean} and std {preprocess.std} differ between channels, so the int8 "
            "input cannot be the pixel minus 128; train with one mean and one std for all channels"
        )
    mean, std = preprocess.mean[0], preprocess.std[0]
    return InputQuantization(1 / (255 * std), round(255 * mean) - 128)


class Calibrator:
    """A traced network with observers in it: feed it pictures or ranges, then ``convert``.

    Args:
        network: in evaluation mode or not; it is traced in evaluation mode.
        spec: what the network was built from.
        method: how a range is chosen from what was seen, a key of ``CALIBRATION_METHODS``.
        per_channel: weights per output channel.
        keep_float: layers that stay float32 within the int8 graph, by the names that PT2E
            traces; what goes into them and comes out of them is int8.

    Raises:
        UsageError: the network has no such layer.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: ModelSpec,
        *,
        method: str = "minmax",
        per_channel: bool = True,
        keep_float: Collection[str] = (),
    ) -> None:
        quantizer = Int8Quantizer(
            input_quantization(spec.preprocess),
            method=method,
            per_channel=per_channel,
            keep_float=keep_float,
        )
        # a copy, because a traced graph shares its weights and ``convert`` rounds them
        graph = traced(deepcopy(network), spec)
        with quiet_exporters():
            self.prepared: GraphModule = prepare_pt2e(graph, quantizer)
        self.observers: dict[str, Any] = activation_observers(self.prepared)

    def observe(self, batches: Iterable[Tensor]) -> None:
        """Run normalized float32 pictures (N, H, W, 3) through the observers."""
        with torch.no_grad():
            for batch in batches:
                self.prepared(batch)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """The smallest and largest real value that each activation's int8 codes stand for."""
        found = {}
        for name, observer in self.observers.items():
            if isinstance(observer, MinMaxObserver):
                low, high = observer.min_val, observer.max_val
            else:
                scale, zero_point = observer.calculate_qparams()
                low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
            found[name] = (float(low), float(high))
        return found

    def apply(self, ranges: Ranges) -> None:
        """Set the observers to recorded ranges; needs the ``minmax`` method.

        Raises:
            CheckpointError: the ranges are of another network.
        """
        if set(ranges) != set(self.observers):
            odd = sorted(set(ranges) ^ set(self.observers))
            raise CheckpointError(
                f"the recorded calibration does not fit the network: {odd[0]!r} is in only one of "
                "them; calibrate again with --data"
            )
        for name, (low, high) in ranges.items():
            observer = self.observers[name]
            observer.min_val = torch.tensor(low)
            observer.max_val = torch.tensor(high)

    def convert(self) -> GraphModule:
        """The int8 graph: float32 NHWC in, float32 logits out, int8 arithmetic in between."""
        # weights were never seen by a forward pass when ranges were applied
        for node in self.prepared.graph.nodes:
            if node.op == "call_module" and node.args[0].op == "get_attr":
                weight = _attribute(self.prepared, node.args[0].target)
                getattr(self.prepared, node.target)(weight.detach())
        # unfolded, because litert-torch reads only float weights that a quantize follows
        with quiet_exporters():
            graph: GraphModule = convert_pt2e(self.prepared, fold_quantize=False)
        _drop_saturated_clamps(graph)
        _round_weights(graph)
        _round_biases(graph)
        graph.recompile()
        return graph


def stays_float(graph: nn.Module) -> bool:
    """Whether an int8 graph has layers that stayed float; no for a float network."""
    if not isinstance(graph, GraphModule):
        return False
    nodes = list(graph.graph.nodes)
    quantized_at_all = any(node.target in _DEQUANTIZE for node in nodes)
    return quantized_at_all and any(map(_is_float_layer, nodes))


def _is_float_layer(node: Node) -> bool:
    weighted = node.target in WEIGHTED
    return weighted and cast(Node, node.args[1]).target not in _DEQUANTIZE


def activation_observers(prepared: GraphModule) -> dict[str, Any]:
    """Observers by the name of the layer whose result they see."""
    found = {}
    for node in prepared.graph.nodes:
        if node.op != "call_module":
            continue
        source = node.args[0]
        if source.op == "call_function" and source.target in PRODUCERS:
            found[layer_name(source)] = getattr(prepared, node.target)
    return found


def _attribute(module: Any, target: object) -> Tensor:
    for part in str(target).split("."):
        module = getattr(module, part)
    return cast(Tensor, module)


def _quantization_of(node: Node) -> tuple[float, int] | None:
    """Scale and zero point of the only quantize that consumes a node's result."""
    users = list(node.users)
    if len(users) == 1 and users[0].target == quantized.quantize_per_tensor.default:
        _, scale, zero_point, *_ = cast(Any, users[0].args)
        return float(scale), int(zero_point)
    return None


def _drop_saturated_clamps(graph: GraphModule) -> None:
    """Remove each ReLU and ReLU6 whose clamp the quantization that follows makes anyway.

    With zero point -128 no code stands for a negative value; with 255 scale <= 6 none for more
    than 6. Inference engines fuse the convolution better without it.
    """
    for node in list(graph.graph.nodes):
        if node.target not in CLAMPS:
            continue
        found = _quantization_of(node)
        if found is None or found[1] != -128:
            continue
        if node.target not in RELU6 or 255 * found[0] <= 6 * (1 + 1e-6):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def _round_weights(graph: GraphModule) -> None:
    """Round each weight to a multiple of its scale.

    The converters divide by the scale, torch multiplies by its inverse; a weight halfway between
    two codes then becomes one in one format and the other in another.
    """
    for node in graph.graph.nodes:
        if node.target not in _DEQUANTIZE:
            continue
        source: Any = node.args[0]
        if source.args[0].op != "get_attr":
            continue
        weight = _attribute(graph, source.args[0].target)
        arguments = [_attribute(graph, a.target) if isinstance(a, Node) else a for a in source.args]
        codes = source.target(weight.data, *arguments[1:])
        weight.data = node.target(codes, *arguments[1:])


def _round_biases(graph: GraphModule) -> None:
    """Round each bias to what int32 with scale = input scale * weight scale can hold.

    Every format stores biases so; rounding them here makes the float graph agree.
    """
    for node in graph.graph.nodes:
        if node.target not in WEIGHTED or _is_float_layer(node):
            continue
        source, weight, bias = cast(tuple[Node, ...], node.args[:3])
        while source.target != quantized.dequantize_per_tensor.default:
            source = cast(Node, source.args[0])
        scale = cast(float, source.args[1])
        weight_scale: Any = weight.args[1]
        if isinstance(weight_scale, Node):
            weight_scale = _attribute(graph, weight_scale.target)
        step = torch.as_tensor(weight_scale, dtype=torch.float64) * scale
        value = _attribute(graph, bias.target)
        value.data = ((value.data.double() / step).round() * step).float()
