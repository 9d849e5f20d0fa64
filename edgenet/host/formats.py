"""A float .tflite to int16x8, float16 or dynamic range, through Google's AI Edge Quantizer."""

from __future__ import annotations

import numpy as np
from torch import nn

from edgenet import tflite
from edgenet.errors import ExportError
from edgenet.host.quantizer import InputQuantization
from edgenet.host.quiet import quiet_exporters

with quiet_exporters():
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

# the int16 input is the pixel times this, where it is exact; 255 times it is within int16
PIXEL_STEPS = 128
_LARGEST = 2**15 - 1

Ranges = dict[str, dict[str, np.ndarray]]


def float16(model: bytes) -> bytes:
    """Weights and biases in float16, each behind a DEQUANTIZE; the arithmetic stays float32."""
    made = quantizer.Quantizer(model)
    made.add_weight_only_config(
        ".*", TFLOperationName.ALL_SUPPORTED, 16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    return _quantize(made)


def dynamic_range(model: bytes) -> bytes:
    """Weights in int8, per output channel; the engine quantizes activations as they come.

    Depthwise layers stay float32: their weights are few, and XNNPACK has no such kernel for them,
    so they would cost time and accuracy to save a few percent of the file.
    """
    made = quantizer.Quantizer(model)
    for operator in (TFLOperationName.CONV_2D, TFLOperationName.FULLY_CONNECTED):
        made.add_dynamic_config(".*", operator, 8)
    return _quantize(made)


def int16x8(model: bytes, int8: bytes, inputs: InputQuantization) -> bytes:
    """Weights in int8 per output channel, activations and both ends in int16, biases in int64.

    Scales are symmetric, 2^15 - 1 of them to the larger end of a range, and zero points 0. The
    input's is 1/128 of what it is in int8: where the int8 input is exactly the pixel minus 128,
    the int16 input is exactly 128 times the pixel.

    Args:
        model: float.
        int8: the same network, statically quantized: its activations have the ranges.
        inputs: of the int8 model.

    Raises:
        ExportError: the two files do not hold the same operators.
    """
    ranges = _ranges(model, int8)
    source = tflite.read(model, "float").subgraphs[0]
    largest = inputs.scale / PIXEL_STEPS * _LARGEST
    ranges |= _range(source.tensors[source.inputs[0]], -largest, largest)
    return _quantize(quantizer.Quantizer(model, recipe.static_wi8_ai16()), ranges)


def check_int16x8(network: nn.Module) -> None:
    """Whether every operator of a network computes in int16.

    Raises:
        ExportError: one does not.
    """
    if any(isinstance(module, nn.Hardswish) for module in network.modules()):
        raise ExportError(
            "int16x8 cannot hold this network: it has HARD_SWISH, which LiteRT computes in int8 "
            "and float alone; choose --quantize int8, float16 or dynamic, or train a minimalistic "
            "V3, which has none"
        )


def _quantize(made: quantizer.Quantizer, ranges: Ranges | None = None) -> bytes:
    with quiet_exporters():
        result = made.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _ranges(model: bytes, int8: bytes) -> Ranges:
    """The range of each activation of the float model, from the int8 model's scales."""
    ours, theirs = (tflite.read(one, "model").subgraphs[0] for one in (model, int8))
    if [one.name for one in ours.operators] != [one.name for one in theirs.operators]:
        raise ExportError(
            "int16x8 takes its ranges from the int8 graph, operator by operator, and that has "
            "others than the float graph: layers that stay float, or what int8 alone needs; "
            "leave int16x8 out"
        )
    ranges: Ranges = {}
    for mine, other in zip(ours.operators, theirs.operators, strict=True):
        held = theirs.tensors[other.outputs[0]]
        (scale,), (zero_point,) = held.scale, held.zero_point
        low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
        ranges |= _range(ours.tensors[mine.outputs[0]], low, high)
    return ranges


def _range(tensor: tflite.Tensor, low: float, high: float) -> Ranges:
    shape = (1,) * len(tensor.shape)
    return {
        tensor.name: {
            "min": np.full(shape, low, np.float32),
            "max": np.full(shape, high, np.float32),
        }
    }
