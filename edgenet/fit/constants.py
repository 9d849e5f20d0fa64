"""A program's constants: their bytes, and the program without most of them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from edgenet.codegen.call import Constant
from edgenet.codegen.program import Program, constants

MVE = ("cortex-m52", "cortex-m55", "cortex-m85")
"""Cores that take the flavour for Arm's vector extension."""


def bytes_of(made: Program, core: str) -> int:
    """Bytes of constants in the flavour that a core takes."""
    calls = [call for layer in made.layers for call in layer.calls]
    if core in MVE:
        calls = [call.mve or call for call in calls]
    found = {id(one): one for call in calls for one in constants(call.fields)}
    return sum(one.values.nbytes for one in found.values())


def shortened(made: Program) -> Program:
    """The same program with one element of each constant."""
    known: dict[int, Constant] = {}

    def cut(one: Any) -> Any:
        if isinstance(one, Constant):
            return known.setdefault(id(one), Constant(one.values[:1]))
        if isinstance(one, dict):
            return {name: cut(field) for name, field in one.items()}
        if isinstance(one, tuple) and not hasattr(one, "_fields"):
            return tuple(map(cut, one))
        if is_dataclass(one) and type(one).__module__.startswith("edgenet.codegen."):
            changed = {f.name: cut(getattr(one, f.name)) for f in fields(one) if f.init}
            return replace(one, **changed)  # type: ignore[type-var]
        return one

    return replace(made, layers=cut(made.layers))
