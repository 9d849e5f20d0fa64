"""Weights as a safetensors file, known by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from edgenet.errors import CheckpointError


def packed(state_dict: Mapping[str, Tensor], *, float16: bool = False) -> bytes:
    """The file of weights; the same weights in any order give the same bytes.

    Args:
        state_dict: the weights.
        float16: store those of two and more dimensions in half the space.

    Raises:
        CheckpointError: a weight is not finite, or too large for float16.
    """
    return save({name: _storable(name, state_dict[name], float16) for name in sorted(state_dict)})


def as_stored(state_dict: Mapping[str, Tensor], *, float16: bool) -> dict[str, Tensor]:
    """The weights as ``read`` gives them back after ``packed``.

    Raises:
        CheckpointError: as ``packed``.
    """
    return {name: _widened(_storable(name, tensor, float16)) for name, tensor in state_dict.items()}


def sha256(content: bytes) -> str:
    """The hex digest that a record knows a file by."""
    return hashlib.sha256(content).hexdigest()


def read(path: Path, digest: str) -> dict[str, Tensor]:
    """The weights of a file with this digest, floating point ones as float32.

    Raises:
        CheckpointError: the file cannot be read, or is another.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    found = sha256(content)
    if found != digest:
        raise CheckpointError(
            f"{path}: sha256 is {found[:12]}…, its record says {digest[:12]}…; "
            "the weights were changed after the checkpoint was written"
        )
    try:
        tensors = load(content)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}") from error
    return {name: _widened(tensor) for name, tensor in tensors.items()}


def _storable(name: str, tensor: Tensor, float16: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    if float16 and tensor.ndim > 1:
        tensor = tensor.half()
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(
            f"{name} has values that are not finite{' in float16' if float16 else ''}; "
            "the checkpoint was not written"
        )
    return tensor


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
