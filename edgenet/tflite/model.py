"""What a .tflite file holds, as records that nobody changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgenet.tflite.flatbuffer import Array
from edgenet.tflite.schema import Option

ABSENT = -1
"""Stands among an operator's inputs for one that it can do without and that is not given."""


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """An activation, or a constant.

    Attributes:
        index: its number in the subgraph.
        name: for people; neither unique nor always there.
        shape: sizes as stored.
        shape_signature: the same with -1 where a size may change; empty where none may.
        dtype: numpy's name, or ``string``, ``resource``, ``variant``, ``int4``, ``bfloat16``, ....
        scale: real = scale * (code - zero_point); one, or one a channel; empty if not quantized.
        zero_point: as many as scales.
        axis: the dimension of the channels that the scales belong to; None with fewer than two.
        data: of a constant, read-only, shaped; bytes in one dimension where numpy has no such type
            or the values are sparse.  None for an activation.
        variable: whether it keeps its value from one run to the next.
        sparse: whether data holds but the values that are not zero.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None
    data: Array | None
    variable: bool
    sparse: bool


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One step of a subgraph.

    Attributes:
        index: its number in the subgraph, the order of execution.
        name: ``CONV_2D`` and so on, or a custom operator's own code.
        custom: whether it is a custom operator.
        version: of the operator, by TFLite's count.
        inputs: numbers of tensors; ABSENT for one left out.
        outputs: numbers of tensors.
        options_table: ``Conv2DOptions``; empty where it has none, a number where edgenet does not
            know it.
        options: by the names of schema.fbs, enumerators as strings (``padding``: ``SAME``); empty
            where there are none or none that edgenet knows.
        custom_options: bytes that only a custom operator understands.
    """

    index: int
    name: str
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_table: str
    options: Mapping[str, Option]
    custom_options: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Subgraph:
    """Tensors, and operators in the order of execution."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """A name for a subgraph, and names for its inputs and outputs: numbers of tensors."""

    name: str
    subgraph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A .tflite file.

    Attributes:
        name: what it is called in sentences.
        version: of the schema; 3.
        description: who made it, for people.
        subgraphs: the first is the model, unless a signature says otherwise.
        signatures: by which newer interpreters call.
        metadata: bytes by name; ``TFLITE_METADATA`` is a flatbuffer, ``min_runtime_version`` text.
    """

    name: str
    version: int
    description: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    metadata: Mapping[str, bytes]
