"""Bundles of models that edgenet did not make: what a file says of itself, and what it does not."""

from __future__ import annotations

from edgenet.foreign.given import Given
from edgenet.foreign.labels import Background, read_labels
from edgenet.foreign.make import Wishes, make
from edgenet.foreign.preprocess import PRESETS, Normalization
from edgenet.foreign.read import read

__all__ = [
    "PRESETS",
    "Background",
    "Given",
    "Normalization",
    "Wishes",
    "make",
    "read",
    "read_labels",
]
