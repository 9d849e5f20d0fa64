"""Reads .tflite files by their schema, with nothing but numpy, and trusts no byte of them."""

from __future__ import annotations

from edgenet.tflite.model import ABSENT, Model, Operator, Signature, Subgraph, Tensor
from edgenet.tflite.reader import associated_files, read
from edgenet.tflite.schema import Option
from edgenet.tflite.writer import write

__all__ = [
    "ABSENT",
    "Model",
    "Operator",
    "Option",
    "Signature",
    "Subgraph",
    "Tensor",
    "associated_files",
    "read",
    "write",
]
