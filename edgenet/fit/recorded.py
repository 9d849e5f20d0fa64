"""Bytes of code by core and kernels, recorded for machines without the compiler.

``kernel_sizes.json`` is written by ``scripts/record_kernel_sizes``.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import resources

import msgspec

from edgenet.codegen.program import Program


class Core(msgspec.Struct):
    """What code takes on one core.

    Attributes:
        kernels: bytes of kernels and what they call, by their names in one string.
        calls: bytes of each call with its parameters, by kernel; ``""`` is what there is but once.
    """

    kernels: dict[str, int]
    calls: dict[str, float]


class Table(msgspec.Struct):
    """All cores, and the compiler that they were measured with."""

    compiler: str
    cores: dict[str, Core]


@cache
def table() -> Table:
    """What was recorded."""
    text = (resources.files("edgenet.fit") / "kernel_sizes.json").read_bytes()
    return msgspec.json.decode(text, type=Table)


def code(made: Program, core: str) -> int | None:
    """Bytes of a program's code; None where its core or its kernels were not recorded.

    Kernels are those of the smallest recorded program that has all of them.
    """
    known = table().cores.get(core)
    if known is None:
        return None
    enough = [size for names, size in known.kernels.items() if {*made.kernels} <= {*names.split()}]
    if not enough:
        return None
    calls = sum(known.calls.get(name, 0) * count for name, count in counted(made).items())
    return min(enough) + round(calls)


def key(made: Program) -> str:
    """The program's kernels."""
    return " ".join(made.kernels)


def counted(made: Program) -> Counter[str]:
    """Calls by kernel, and one that stands for what there is but once."""
    return Counter(["", *(call.kernel for layer in made.layers for call in layer.calls)])
