"""The folder that crosses from host to device; docs/bundle.md is its specification.

A bundle holds the models, the labels, golden frames and a manifest that names each file with its
size and sha256.  Opening checks all of it, and needs numpy and msgspec only.
"""

from __future__ import annotations

from edgenet.bundle.extend import add_model, add_program
from edgenet.bundle.manifest import (
    MANIFEST,
    SCHEMA,
    Answers,
    Calibration,
    Elimination,
    FileRecord,
    Manifest,
    ModelRecord,
    ProgramRecord,
    Rounding,
)
from edgenet.bundle.reader import Bundle, Golden
from edgenet.bundle.writer import amend, write

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "Answers",
    "Bundle",
    "Calibration",
    "Elimination",
    "FileRecord",
    "Golden",
    "Manifest",
    "ModelRecord",
    "ProgramRecord",
    "Rounding",
    "add_model",
    "add_program",
    "amend",
    "write",
]
