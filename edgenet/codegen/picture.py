"""A model whose input is a picture: what its preprocessing is in C, and the memory it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgenet import image
from edgenet.codegen import text
from edgenet.codegen.program import Program
from edgenet.errors import UsageError
from edgenet.int8 import quantize
from edgenet.int8.graph import Array, Graph, Port
from edgenet.spec import Preprocess, TensorSpec

LARGEST = 1024
"""Pixels of an input's side: weights of more would not fit into 64 bits."""
_ALIGNMENT = 16


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Preprocessing in C.

    Attributes:
        preprocess: the bundle's.
        codes: int8 (channels, 256), of each level; None where it is the level less 128.
        scratch: bytes that a frame takes besides the input.
        address: where they lie in the arena.
    """

    preprocess: Preprocess
    codes: Array | None
    scratch: int
    address: int

    @property
    def words(self) -> Mapping[str, str]:
        """For the templates."""
        known = self.codes is not None
        return {
            "fit": self.preprocess.resize,
            "FIT": self.preprocess.resize.upper().replace("-", "_"),
            "codes": text.array("int8_t", "codes", np.ravel(self.codes), storage="static const")
            if self.codes is not None
            else "",
            "table": "codes" if known else "NULL",
            "scratch": str(self.scratch),
            "address": str(self.address),
        }


def refusal(graph: Graph, preprocess: Preprocess) -> str:
    """Why a model's preprocessing is not written in C; empty where it is."""
    if len(graph.inputs) != 1:
        return f"it has {len(graph.inputs)} inputs, and one is a picture"
    shape = graph.values[graph.inputs[0].value].shape
    wanted = (1, preprocess.height, preprocess.width)
    if len(shape) != 4 or shape[:3] != wanted or shape[3] not in (1, 3):
        return f"its input is {shape}, and a picture is {(*wanted, 3)} or {(*wanted, 1)}"
    if max(shape) > LARGEST:
        return f"its input is {shape[1]} x {shape[2]} pixels, and {LARGEST} a side is the most"
    if shape[3] == 1 and len({*preprocess.mean}) + len({*preprocess.std}) > 2:
        return "it takes grey pictures, and mean and std are not the same for all channels"
    return ""


def placed(program: Program, preprocess: Preprocess) -> tuple[Program, Picture]:
    """Preprocessing for a program, which gets a larger arena where the scratch needs it.

    Raises:
        UsageError: the model's input is no such picture.
    """
    if why := refusal(program.graph, preprocess):
        raise UsageError(f"{program.name} cannot have its preprocessing in C: {why}")
    (port,) = program.graph.inputs
    value = program.graph.values[port.value]
    channels, width = value.shape[3], value.shape[2]
    scratch = (12 * channels + 4) * width  # EN_IMAGE_SCRATCH
    start = program.plan.addresses[port.value]
    after = -(-(start + value.size) // _ALIGNMENT) * _ALIGNMENT
    address = 0 if scratch <= start else after
    size = max(program.plan.size, address + scratch)
    size = -(-size // _ALIGNMENT) * _ALIGNMENT if size > program.plan.size else size
    picture = Picture(preprocess, _codes(program.graph, port, preprocess), scratch, address)
    return replace(program, plan=replace(program.plan, size=size)), picture


def where_it_fits(program: Program, preprocess: Preprocess) -> Preprocess | None:
    """The preprocessing, where the input is such a picture and the arena has the room already."""
    if refusal(program.graph, preprocess):
        return None
    return preprocess if placed(program, preprocess)[0].plan.size == program.plan.size else None


def _codes(graph: Graph, port: Port, preprocess: Preprocess) -> Array | None:
    """The input's code of each level of each channel, (channels, 256)."""
    value = graph.values[port.value]
    levels = np.repeat(np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis], 3, axis=2)
    if port.dtype == "float32":  # as the model's own QUANTIZE
        real = image.normalize(levels, preprocess)
        codes = quantize.codes(real, value.scale, value.zero_point)[0]
    else:
        tensor = TensorSpec("input", value.shape, "int8", (value.scale,), (value.zero_point,))
        codes = image.as_tensor(levels, preprocess, tensor)[0, 0]
    codes = np.ascontiguousarray(codes.T[: value.shape[3]])
    plain = np.broadcast_to(np.arange(-128, 128), codes.shape)
    return None if np.array_equal(codes, plain) else codes
