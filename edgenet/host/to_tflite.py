"""A torch graph to a TFLite flatbuffer, through litert-torch."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import litert_torch
import torch
from litert_torch._convert.fx_passes.optimize_layout_transposes_pass import layout_rewrite
from litert_torch.quantize.quant_config import QuantConfig
from torch import Tensor, nn
from torch.fx import Node


@dataclass(frozen=True)
class _Static:
    is_dynamic: bool = False


class _StaticInt8:
    """What ``QuantConfig`` asks of a quantizer: that the graph is statically quantized."""

    global_config = _Static()


@layout_rewrite.rewriters.register(torch.ops.aten.pad.default)
@layout_rewrite.rewriters.register(torch.ops.aten.constant_pad_nd.default)
def _pad_channels_last(node: Node) -> None:
    """Pad H and W of an NHWC tensor.

    litert-torch 0.10 has no channels-last form of a zero padding, and so leaves two TRANSPOSE and
    a PAD before each strided convolution; with it they become the convolution's SAME padding.
    """
    left, right, top, bottom = node.args[1]
    node.args = (node.args[0], [0, 0, left, right, top, bottom], *node.args[2:])


def to_tflite(graph: nn.Module, example: Tensor) -> bytes:
    """The flatbuffer of ``graph``; int8 in and out when the graph is quantized at both ends."""
    config = QuantConfig(pt2e_quantizer=_StaticInt8())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        litert_torch.convert(graph, (example,), quant_config=config).export(str(path))
        return path.read_bytes()
