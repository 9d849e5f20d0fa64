"""What a network takes of a device: as a record, and for devices that read a .tflite."""

from __future__ import annotations

import msgspec

from edgenet.fit.point import Point

_ALIGNMENT = 16
_PER_CHANNEL = 24
"""Bytes of scale and zero point of an output channel, float32 and int64: of kernel and of bias."""


class Footprint(msgspec.Struct, frozen=True):
    """Bytes and multiplications of one network on one device.

    Attributes:
        flash: bytes of model and code; None where code cannot be told.
        ram: bytes at the peak; None where the device was never calibrated.
        macs: multiply-adds of a picture.
        exact: whether flash and RAM are those of the linked program, to the byte.
        constants: bytes of weights and parameters among flash.
        sram_budget: what the arena was planned for; None without a budget.
    """

    flash: int | None
    ram: int | None
    macs: int
    exact: bool
    constants: int = 0
    sram_budget: int | None = None


def activations(point: Point) -> int:
    """Bytes of int8 maps that are alive together, at the most."""
    return point.cost().peak.activation_bytes


def file_bytes(point: Point) -> int:
    """Bytes of the int8 .tflite that ``edgenet export`` writes, without its labels.

    Kernels and biases, aligned; scales and zero points of each channel; and what litert-torch
    writes of names and tables, which is the same for a family at any alpha and resolution.  It is
    right to the alignment of the last buffer where that was recorded, and to some thousand bytes
    of V3 with squeeze and excite.
    """
    layers = point.cost().layers
    total = OVERHEAD.get(point.arch.removesuffix("_cifar"), _PER_LAYER * len(layers))
    for one in layers:
        if one.kernel_weights:
            total += _aligned(one.kernel_weights) + _aligned(4 * one.layer.outputs)
            total += _PER_CHANNEL * (1 if one.layer.kind == "linear" else one.layer.outputs)
    return total


OVERHEAD = {
    "mobilenet_v1": 26_174,
    "mobilenet_v2": 49_710,
    "mobilenet_v3_large": 66_478,
    "mobilenet_v3_large_minimalistic": 45_766,
    "mobilenet_v3_small": 59_806,
    "mobilenet_v3_small_minimalistic": 34_214,
}
"""Bytes of names and tables, of exports by litert-torch 0.10."""
_PER_LAYER = 700


def _aligned(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT
