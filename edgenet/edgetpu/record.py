"""What the checker says of a model."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = 1

Status = Literal["mapped", "cpu", "later", "compiled"]


class OperatorCheck(msgspec.Struct, frozen=True):
    """One operator.

    Attributes:
        index: position in the graph, from 0.
        operator: its name.
        shape: of its first output.
        status: ``mapped`` runs on the Edge TPU; ``cpu`` breaks a rule; ``later`` breaks none, but
            one before it does, and the compiler makes one part of the graph alone; ``compiled`` is
            a part that was compiled already.
        rule: the rule that it breaks, in a sentence's words; empty where it breaks none.
    """

    index: int
    operator: str
    shape: tuple[int, ...]
    status: Status
    rule: str = ""


class Memory(msgspec.Struct, frozen=True):
    """Where the parameters of the mapped operators lie, in bytes.

    The compiler's own layout is not published: it pads weights, and takes from the cache what the
    instructions need.  Its published logs leave 6.0 to 8.2 MiB for parameters.

    Attributes:
        parameters: weights and biases as the .tflite holds them.
        cache: of the device.
        fits: ``yes`` in the least cache that the logs leave, ``maybe`` in the whole, else ``no``.
        streamed: what must be sent again with each inference, at least.
        streamed_most: the same with the least cache that the logs leave.
    """

    parameters: int
    cache: int
    fits: Literal["yes", "maybe", "no"]
    streamed: int
    streamed_most: int


class CompiledPart(msgspec.Struct, frozen=True):
    """One ``edgetpu-custom-op``: what its bytes say, by libedgetpu's published schemas.

    Attributes:
        bytes: of the operator's data.
        executables: programs in it: one that caches parameters and one that runs, or one for both.
        parameters: bytes that the device keeps or is sent.
        cached: whether a program of its own puts the parameters into the cache.
        compiler: the version of the compiler.
        min_runtime: the oldest runtime that runs it; libedgetpu's newest is 14.
        chip: that it is compiled for.
        unreadable: why nothing but ``bytes`` is known; empty where the rest is.
    """

    bytes: int
    executables: int = 0
    parameters: int = 0
    cached: bool = False
    compiler: str = ""
    min_runtime: int = 0
    chip: str = ""
    unreadable: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A whole model.

    Attributes:
        kind: tells the record from others.
        schema: number of this record's form.
        model: what it is called.
        operators: in the order of execution.
        subgraphs: parts that the compiler makes: 1, or 0 where nothing is mapped.
        possible: parts that the rules would allow, of which the compiler makes the first.
        memory: of the part that is mapped.
        refused: why the compiler would not even read the model; empty where it would.
        compiled: the parts that are compiled already.
    """

    kind: Literal["edgetpu"] = "edgetpu"
    schema: int = SCHEMA
    model: str
    operators: tuple[OperatorCheck, ...]
    subgraphs: int
    possible: int
    memory: Memory
    refused: str = ""
    compiled: tuple[CompiledPart, ...] = ()

    @property
    def mapped(self) -> int:
        """How many operators run on the Edge TPU."""
        return sum(one.status == "mapped" for one in self.operators)

    @property
    def whole(self) -> bool:
        """Whether all of the model runs on the Edge TPU."""
        return not self.refused and self.mapped == len(self.operators) > 0
