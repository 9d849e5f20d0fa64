"""What a model is and what goes into it: the records that training, export and devices share.

All are frozen and read from disk by msgspec, which checks every field's type.
Activations are NHWC, batch first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Resize = Literal["stretch", "center-crop", "letterbox"]
Variant = Literal[
    "fp32.onnx",
    "fp32.tflite",
    "int8.onnx",
    "int8.tflite",
    "int8_edgetpu.tflite",
    "int16x8.tflite",
    "float16.tflite",
    "dynamic.tflite",
]
VARIANTS: tuple[Variant, ...] = (
    "fp32.tflite",
    "int8.tflite",
    "fp32.onnx",
    "int8.onnx",
    "int8_edgetpu.tflite",
    "int16x8.tflite",
    "float16.tflite",
    "dynamic.tflite",
)
COMPILED_FROM: Mapping[Variant, Variant] = {"int8_edgetpu.tflite": "int8.tflite"}
"""Variants that a device's own compiler makes of another, and that only that device runs."""
Quantization = Literal["int8", "int16x8", "float16", "dynamic", "none"]
"""What ``edgenet export --quantize`` makes of a network; ``none`` leaves it float32."""
ASKED_FOR: Mapping[Quantization, Variant] = {
    "int16x8": "int16x8.tflite",
    "float16": "float16.tflite",
    "dynamic": "dynamic.tflite",
}
"""Variants that a bundle holds only where they were asked for."""
EXPORTED: tuple[Variant, ...] = tuple(
    name for name in VARIANTS if name not in {*COMPILED_FROM, *ASKED_FOR.values()}
)
"""Variants that edgenet writes itself unless told otherwise, and that a CPU runs."""

FOREIGN = "foreign"
"""The ``arch`` of a network that edgenet did not train."""


class Preprocess(msgspec.Struct, frozen=True):
    """How an RGB picture becomes the model's input; written once, used by every stage.

    Attributes:
        height: rows of the model's input, in pixels.
        width: columns of the model's input, in pixels.
        resize: ``stretch`` ignores the aspect ratio, ``center-crop`` cuts the middle out,
            ``letterbox`` pads with black.
        mean: of each channel, for pixels scaled to 0..1; R, G, B.
        std: of each channel, for pixels scaled to 0..1; R, G, B.
    """

    height: int
    width: int
    resize: Resize = "stretch"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"input is {self.height}x{self.width} pixels; both must be at least 1")
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}; every channel must be above 0")


class ModelSpec(msgspec.Struct, frozen=True):
    """Everything needed to build the network again.

    Attributes:
        arch: the architecture's name, a key of ``edgenet.architecture.ARCHITECTURES``, or
            ``FOREIGN``, of which nothing but labels and preprocessing is known.
        alpha: width multiplier of arXiv 1704.04861 section 3.3, above 0; 1 for a foreign network.
        labels: class names, in the order of the logits.
        preprocess: how a picture becomes the input; its size is the resolution multiplier's.
        depth_multiplier: depthwise kernels per input channel.
        padding: ``same`` is TensorFlow's SAME, ``symmetric`` is torch's ``padding=1``.
    """

    arch: str
    alpha: float
    labels: tuple[str, ...]
    preprocess: Preprocess
    depth_multiplier: int = 1
    padding: Literal["same", "symmetric"] = "same"


class TensorSpec(msgspec.Struct, frozen=True):
    """One input or output of a model: real = scale * (q - zero_point).

    ``scale`` and ``zero_point`` are empty for a float tensor, hold one value per tensor, or one per
    channel along ``axis``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int8", "uint8", "int16", "int32"]
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int | None = None
