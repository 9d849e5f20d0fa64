"""Calls of kernels in C, and layers as calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgenet.codegen.plan import Work
from edgenet.int8.graph import Array, Layer, Output


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An array in flash; ``values`` are int8, int32 or of a dtype of ``pack.STRUCTS``."""

    values: Array


Field = int | Constant | Mapping[str, Any] | tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call of a kernel.

    Attributes:
        kernel: its function, ``en_add_s8``.
        struct: type of its parameters.
        fields: of the struct, in order; mappings are structs inside it.
        inputs: values that it reads, in the order of its arguments.
        scratch: whether it takes scratch.
        mve: what takes its place where the compiler has MVE: another kernel with its own struct
            and its own packed constants, of the same inputs and output; its scratch lies where
            this one's does and is no larger than the layer's ``Work`` says.
    """

    kernel: str
    struct: str
    fields: Mapping[str, Field]
    inputs: tuple[int, ...]
    scratch: bool = False
    mve: Call | None = None

    @property
    def flavours(self) -> tuple[Call, ...]:
        """This call, and what takes its place with MVE."""
        return (self, self.mve) if self.mve else (self,)


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A layer as calls, and as what the planner places.

    Attributes:
        layer: of the graph.
        calls: one as a rule; none where no byte moves.
        work: for the planner.
        more: bytes of scratch beyond the work's that make the DSP flavour faster: for all weights,
            unpacked, or for all rows of a map; 0 where that is not worth while.
    """

    layer: Layer
    calls: tuple[Call, ...]
    work: Work
    macs: int
    more: int = 0

    def with_more(self) -> Lowered:
        """The same with that scratch."""
        (call,) = self.calls
        flag = "unpack" if "unpack" in call.fields else "whole"
        return replace(
            self,
            calls=(replace(call, fields={**call.fields, flag: 1}),),
            work=replace(self.work, scratch=self.work.scratch + self.more),
            more=0,
        )


def one(
    layer: Layer, call: Call, scratch: int, walks: Mapping[int, tuple[int, int]], macs: int
) -> Lowered:
    """A layer that is one call."""
    return Lowered(layer, (call,), Work(scratch, walks), macs)


def range_of(out: Output) -> Field:
    """An ``en_range``."""
    return {"zero_point": out.zero_point, "low": out.low, "high": out.high}
