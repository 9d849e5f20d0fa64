"""A torch graph to a TFLite flatbuffer, through litert-torch."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.fx import Node

from edgenet.host.quiet import quiet_exporters

with quiet_exporters():
    import litert_torch
    from litert_torch._convert.fx_passes.optimize_layout_transposes_pass import layout_rewrite
    from litert_torch.quantize.quant_config import QuantConfig


@dataclass(frozen=True)
class _Static:
    is_dynamic: bool = False


class _StaticInt8:
    """What ``QuantConfig`` asks of a quantizer: that the graph is statically quantized."""

    global_config = _Static()


def _pad_channels_last(node: Node) -> None:
    """Pad H and W of an NHWC tensor.

    litert-torch 0.10 has no channels-last form of a zero padding, and so leaves two TRANSPOSE and
    a PAD before each strided convolution; with it they become the convolution's SAME padding.
    """
    left, right, top, bottom = cast(list[int], node.args[1])
    node.args = (node.args[0], [0, 0, left, right, top, bottom], *node.args[2:])


for _operator in (torch.ops.aten.pad.default, torch.ops.aten.constant_pad_nd.default):
    layout_rewrite.rewriters.register(_operator)(_pad_channels_last)


def to_tflite(graph: nn.Module, example: Tensor) -> bytes:
    """The flatbuffer of ``graph``; int8 in and out when the graph is quantized at both ends."""
    config = QuantConfig(pt2e_quantizer=_StaticInt8())
    with tempfile.TemporaryDirectory() as folder, quiet_exporters():
        path = Path(folder) / "model.tflite"
        litert_torch.convert(graph, (example,), quant_config=config).export(str(path))
        return path.read_bytes()
