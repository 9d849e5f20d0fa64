"""A torch graph to a TFLite flatbuffer, through litert-torch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import Node

from edgenet.host.integer_ends import integer_ends
from edgenet.host.quantize import stays_float
from edgenet.host.quiet import quiet_exporters

with quiet_exporters():
    import litert_torch
    from litert_converter import converter_api_ext
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
    strict = stays_float(graph)
    config = QuantConfig(pt2e_quantizer=_StaticInt8())
    with tempfile.TemporaryDirectory() as folder, quiet_exporters(), _conversion(strict=strict):
        path = Path(folder) / "model.tflite"
        litert_torch.convert(graph, (example,), quant_config=config).export(str(path))
        content = path.read_bytes()
    return integer_ends(content) if strict else content


@contextmanager
def _conversion(*, strict: bool) -> Iterator[None]:
    """Convert so that what is float between a DEQUANTIZE and a QUANTIZE stays float.

    The converter would quantize the layer's weights, each by its own rule; litert-torch 0.10 offers
    its strict mode nowhere.
    """
    if not strict:
        yield
        return
    usual = converter_api_ext.ConvertToTFLConfig

    def config() -> Any:
        made = usual()
        made.strict_qdq_mode = True
        return made

    converter_api_ext.ConvertToTFLConfig = config
    try:
        yield
    finally:
        converter_api_ext.ConvertToTFLConfig = usual
