"""A checkpoint: a folder with ``model.safetensors`` and ``checkpoint.json``; never a pickle.

The JSON carries the digest of the weights, so that the two files are known to belong together.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from edgenet.bundle import Calibration
from edgenet.errors import CheckpointError, nothing_at
from edgenet.files import write_atomic
from edgenet.host.models import Network, build
from edgenet.spec import ModelSpec

SCHEMA = 1
WEIGHTS = "model.safetensors"
RECORD = "checkpoint.json"
SHIPPED = "mobilenet_v1_0.5_128_imagenette"
DEFAULT = Path("default")


class CalibrationRecord(msgspec.Struct, frozen=True):
    """What calibration found, kept so that a later export needs no pictures.

    Attributes:
        record: which pictures were used, and how.
        ranges: the smallest and largest value seen, of each observed activation.
    """

    record: Calibration
    ranges: dict[str, tuple[float, float]]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a set of weights.

    Attributes:
        schema: version of this format.
        spec: the network, its labels and its preprocessing.
        metrics: what was measured with these weights, such as ``test_top1``; shares are 0..1.
        recipe: the recipe as it was used, every field.
        data: the data set, its splits and how many pictures each has.
        seed: of the weights, the order of pictures and the augmentation.
        versions: of the packages that made the weights.
        calibration: the ranges for int8, if they were recorded.
        weights_sha256: digest of the weights' file; ``save`` fills it in.
    """

    schema: int = SCHEMA
    spec: ModelSpec
    metrics: dict[str, float] = {}
    recipe: dict[str, Any] = {}
    data: dict[str, Any] = {}
    seed: int = 0
    versions: dict[str, str] = {}
    calibration: CalibrationRecord | None = None
    weights_sha256: str = ""


class _Version(msgspec.Struct):
    schema: int


def default() -> Path:
    """The folder of the checkpoint that ships with edgenet.

    Raises:
        CheckpointError: this installation lacks it.
    """
    folder = Path(str(resources.files("edgenet.host") / "weights" / SHIPPED))
    if not folder.is_dir():
        raise CheckpointError(
            f"this installation lacks the checkpoint {SHIPPED}; install edgenet again, "
            "or name another one"
        )
    return folder


def named(name: Path) -> Path:
    """The folder that ``name`` is the path of; the word default names the one that ships."""
    return default() if name == DEFAULT and not name.exists() else name


def save(
    folder: Path, checkpoint: Checkpoint, state_dict: dict[str, Tensor], *, float16: bool = False
) -> Checkpoint:
    """Writes a checkpoint; each file appears whole, the record last.

    Args:
        folder: where the two files go; it is made, and other files in it are left alone.
        checkpoint: the record.
        state_dict: the weights, of ``build(checkpoint.spec)``.
        float16: store convolution and classifier weights in half the space.  Vectors (biases and
            batch norm) stay float32: small variances would vanish in float16.

    Returns:
        The record as written, with the digest of the weights.

    Raises:
        CheckpointError: the disk refuses, or a weight is not finite or too large for float16.
    """
    tensors = {name: _storable(name, state_dict[name], float16) for name in sorted(state_dict)}
    content = tensor_bytes(tensors)
    written = msgspec.structs.replace(
        checkpoint, schema=SCHEMA, weights_sha256=hashlib.sha256(content).hexdigest()
    )
    record = msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / WEIGHTS, content)
        write_atomic(folder / RECORD, record)
    except OSError as error:
        raise CheckpointError(f"cannot write a checkpoint to {folder}: {error}") from error
    return written


def amend(folder: Path, destination: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint's weights, byte for byte, with another record to ``destination``.

    Args:
        folder: where the weights are.
        destination: may be ``folder`` itself.
        checkpoint: the record, as ``load`` gave it but for what is to change.

    Raises:
        CheckpointError: the disk refuses.
    """
    record = msgspec.json.format(msgspec.json.encode(checkpoint), indent=2) + b"\n"
    try:
        destination.mkdir(parents=True, exist_ok=True)
        if destination.resolve() != folder.resolve():
            write_atomic(destination / WEIGHTS, (folder / WEIGHTS).read_bytes())
        write_atomic(destination / RECORD, record)
    except OSError as error:
        raise CheckpointError(f"cannot write a checkpoint to {destination}: {error}") from error


def load(folder: Path) -> tuple[Checkpoint, dict[str, Tensor]]:
    """Reads a checkpoint and checks that its weights are those it was written with.

    Returns:
        The record, and the weights for ``build(record.spec)``; floating point ones as float32.

    Raises:
        CheckpointError: there is none, it is damaged, or this edgenet is too old for it.
    """
    record = read_record(folder)
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.weights_sha256:
        raise CheckpointError(
            f"{path}: sha256 is {digest[:12]}…, {RECORD} says {record.weights_sha256[:12]}…; "
            "the weights were changed after the checkpoint was written"
        )
    try:
        tensors = read_tensors(content)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file: {error}") from error
    return record, {name: _widened(tensor) for name, tensor in tensors.items()}


def load_network(folder: Path) -> tuple[Checkpoint, Network]:
    """Reads a checkpoint and builds its network, in evaluation mode.

    Raises:
        CheckpointError: as ``load``, or the weights are not of the network that the record names.
    """
    record, weights = load(folder)
    network = build(record.spec)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{folder}: the weights do not fit {record.spec.arch}: {reason}"
        ) from error
    return record, network.eval()


def as_stored(state_dict: dict[str, Tensor], *, float16: bool) -> dict[str, Tensor]:
    """The weights as ``load`` gives them back after ``save``."""
    stored = {name: _storable(name, tensor, float16) for name, tensor in state_dict.items()}
    return {name: _widened(tensor) for name, tensor in stored.items()}


def read_record(folder: Path) -> Checkpoint:
    """Reads ``checkpoint.json`` alone.

    Raises:
        CheckpointError: there is none, it is malformed, or this edgenet is too old for it.
    """
    path = folder / RECORD
    if not folder.exists():
        raise CheckpointError(
            f"{nothing_at(folder)}; a checkpoint is a folder that 'edgenet train' wrote"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{folder} is no checkpoint: {path.name} cannot be read ({error.strerror})"
        ) from error
    try:
        schema = msgspec.json.decode(content, type=_Version).schema
        if schema > SCHEMA:
            raise CheckpointError(
                f"{path} has schema {schema}, this edgenet reads up to {SCHEMA}; upgrade edgenet"
            )
        return msgspec.json.decode(content, type=Checkpoint)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is malformed: {error}") from error


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
