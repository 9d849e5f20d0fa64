"""What of a program lies in flash."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from edgenet.codegen.program import PICTURES, Program, constants

FLAVOURS = MappingProxyType({"scalar": "C99 and DSP", "mve": "MVE"})
"""Ways in which constants are packed; a compiler takes one of them."""

_MVE = ("cortex-m52", "cortex-m55", "cortex-m85")


class Flash(NamedTuple):
    """Bytes.

    Attributes:
        weights: as they are packed.
        parameters: biases, multipliers, shifts and tables.
    """

    weights: int
    parameters: int


def stored(program: Program, flavour: str) -> Flash:
    """Weights and parameters in a flavour."""
    calls = [call for layer in program.layers for call in layer.calls]
    if flavour == "mve":
        calls = [call.mve or call for call in calls]
    weights = parameters = 0
    for call in calls:
        dot = call.fields.get("dot", call.fields)
        weight = dot.get("weight") if isinstance(dot, dict) else None
        for constant in constants(call.fields):
            if constant is weight:
                weights += constant.values.nbytes
            else:
                parameters += constant.values.nbytes
    return Flash(weights, parameters)


def proof(program: Program) -> int:
    """Bytes of the pictures that the selftest replays, of their answers and checksums."""
    ports = (*program.graph.inputs, *program.graph.outputs)
    codes = sum(program.graph.values[port.value].size for port in ports)
    return PICTURES * (codes + 4 * len(program.layers))


def flavour_of(core: str) -> str:
    """The flavour that a core's compiler takes."""
    return "mve" if core in _MVE else "scalar"
