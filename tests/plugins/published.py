"""Weights for a layout's names and shapes that are the same wherever they are made."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]
NORM = ("weight", "bias", "running_mean", "running_var")


def packed(shapes: Shapes) -> str:
    """Names and shapes in a line; a batch norm's five names as one."""
    found = []
    for name, shape in shapes.items():
        owner, _, part = name.rpartition(".")
        if f"{owner}.running_var" not in shapes:
            found.append(f"{name}:{'x'.join(map(str, shape))}")
        elif part == "running_var":
            found.append(f"{owner}:norm{shape[0]}")
    return " ".join(found)


def unpacked(line: str) -> Shapes:
    """What ``packed`` packed, batch norms in torch's order."""
    found: dict[str, tuple[int, ...]] = {}
    for entry in line.split():
        name, _, shape = entry.partition(":")
        if shape.startswith("norm"):
            found |= {f"{name}.{part}": (int(shape[4:]),) for part in NORM}
            found[f"{name}.num_batches_tracked"] = ()
        else:
            found[name] = tuple(map(int, shape.split("x")))
    return found


def weights(shapes: Shapes) -> dict[str, np.ndarray]:
    """Of each name; such that maps neither vanish nor explode, and each layer matters."""
    return {name: _weight(name, shape, shapes) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...], shapes: Shapes) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    owner, _, part = name.rpartition(".")
    if part == "num_batches_tracked":
        return np.array(7, np.int64)
    if part == "running_var" or (part == "weight" and f"{owner}.running_var" in shapes):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if part == "weight":
        return (rng.normal(size=shape) * math.sqrt(2 / math.prod(shape[1:]))).astype(np.float32)
    return rng.normal(0, 0.2, shape).astype(np.float32)


def picture(side: int) -> np.ndarray:
    """A normalized input, float32 (1, 3, side, side)."""
    return np.random.default_rng(side).normal(size=(1, 3, side, side)).astype(np.float32)
