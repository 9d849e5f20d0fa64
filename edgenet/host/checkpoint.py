"""A checkpoint: a folder with ``model.safetensors`` and ``checkpoint.json``; never a pickle.

The JSON carries the digest of the weights, so that the two files are known to belong together.
Where int8 is made of other weights than the float network, those are ``int8.safetensors``.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor, nn

from edgenet.bundle import Calibration
from edgenet.errors import CheckpointError, nothing_at
from edgenet.files import write_atomic
from edgenet.host import tensors
from edgenet.host.models import Network, build
from edgenet.host.models.folded import folded
from edgenet.spec import ModelSpec

SCHEMA = 2
WEIGHTS = "model.safetensors"
INT8 = "int8.safetensors"
RECORD = "checkpoint.json"
SHIPPED = "mobilenet_v1_0.5_128_imagenette"
DEFAULT = Path("default")


class CalibrationRecord(msgspec.Struct, frozen=True):
    """What calibration found, kept so that a later export needs no pictures.

    Attributes:
        record: which pictures were used, and how.
        ranges: the smallest and largest value seen, of each observed activation.
        weights_sha256: digest of the weights that int8 is made of, if they are others than the
            float network's.
        remedies: what was done against drift, in order (docs/remedies.md).
        keep_float: layers that stay float in the int8 models.
        training: recipe, data, seed and versions of ``--qat``.
    """

    record: Calibration
    ranges: dict[str, tuple[float, float]]
    weights_sha256: str = ""
    remedies: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()
    training: dict[str, Any] = {}


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a set of weights.

    Attributes:
        schema: version of this format that the record needs; writing fills it in.
        spec: the network, its labels and its preprocessing.
        metrics: what was measured with these weights, such as ``test_top1``; shares are 0..1.
        recipe: the recipe as it was used, every field.
        data: the data set, its splits and how many pictures each has.
        seed: of the weights, the order of pictures and the augmentation.
        versions: of the packages that made the weights.
        calibration: the ranges for int8, if they were recorded.
        weights_sha256: digest of the weights' file; ``save`` fills it in.
    """

    schema: int = 1
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
    content = tensors.packed(state_dict, float16=float16)
    written = msgspec.structs.replace(checkpoint, weights_sha256=tensors.sha256(content))
    return _write(folder, {WEIGHTS: content}, written)


def save_int8(
    folder: Path, destination: Path, checkpoint: Checkpoint, state_dict: dict[str, Tensor]
) -> Checkpoint:
    """Writes a checkpoint again, with the weights that its int8 models are made of.

    Args:
        folder: where the float network's weights are; they are kept byte for byte.
        destination: may be ``folder`` itself.
        checkpoint: the record, with the calibration that belongs to ``state_dict``.
        state_dict: float32, of ``folded(network)``.

    Returns:
        The record as written, with the digest of ``state_dict``.

    Raises:
        CheckpointError: the disk refuses, or a weight is not finite.
    """
    if checkpoint.calibration is None:
        raise ValueError("weights for int8 need the ranges that belong to them")
    content = tensors.packed(state_dict)
    digest = tensors.sha256(content)
    calibration = msgspec.structs.replace(checkpoint.calibration, weights_sha256=digest)
    written = msgspec.structs.replace(checkpoint, calibration=calibration)
    return _write(destination, _files(folder, destination, WEIGHTS) | {INT8: content}, written)


def amend(folder: Path, destination: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint's weights, byte for byte, with another record to ``destination``.

    Args:
        folder: where the weights are.
        destination: may be ``folder`` itself.
        checkpoint: the record, as ``load`` gave it but for what is to change.

    Raises:
        CheckpointError: the disk refuses.
    """
    names = (WEIGHTS, INT8) if has_int8(checkpoint) else (WEIGHTS,)
    _write(destination, _files(folder, destination, *names), checkpoint)


def has_int8(checkpoint: Checkpoint) -> bool:
    """Whether int8 is made of other weights than the float models."""
    return checkpoint.calibration is not None and bool(checkpoint.calibration.weights_sha256)


def load(folder: Path) -> tuple[Checkpoint, dict[str, Tensor]]:
    """Reads a checkpoint and checks that its weights are those it was written with.

    Returns:
        The record, and the weights for ``build(record.spec)``; floating point ones as float32.

    Raises:
        CheckpointError: there is none, it is damaged, or this edgenet is too old for it.
    """
    record = read_record(folder)
    return record, tensors.read(folder / WEIGHTS, record.weights_sha256)


def load_network(folder: Path) -> tuple[Checkpoint, Network]:
    """Reads a checkpoint and builds its network, in evaluation mode.

    Raises:
        CheckpointError: as ``load``, or the weights are not of the network that the record names.
    """
    record, weights = load(folder)
    network = build(record.spec)
    _fill(network, weights, folder, record)
    return record, network.eval()


def int8_network(folder: Path, checkpoint: Checkpoint, network: nn.Module) -> nn.Module:
    """The network that int8 is made of, in evaluation mode.

    Args:
        folder: of the checkpoint.
        checkpoint: its record.
        network: its float network.

    Returns:
        ``network`` itself, or a copy without batch norm that has weights of its own.

    Raises:
        CheckpointError: these weights are missing, damaged, or of another network.
    """
    if checkpoint.calibration is None or not has_int8(checkpoint):
        return network
    weights = tensors.read(folder / INT8, checkpoint.calibration.weights_sha256)
    other = folded(network)
    _fill(other, weights, folder, checkpoint)
    return other.eval()


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


def _files(folder: Path, destination: Path, *names: str) -> dict[str, bytes]:
    """The files that ``destination`` lacks, byte for byte."""
    if destination.resolve() == folder.resolve():
        return {}
    try:
        return {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read: {error.strerror}") from error


def _write(folder: Path, files: dict[str, bytes], checkpoint: Checkpoint) -> Checkpoint:
    calibration = checkpoint.calibration
    changed = calibration is not None and (has_int8(checkpoint) or calibration.keep_float)
    # an edgenet that knows of no such weights would make int8 of the wrong ones
    written = msgspec.structs.replace(checkpoint, schema=2 if changed else 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(folder / name, content)
        record = msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"
        write_atomic(folder / RECORD, record)
        if not has_int8(written):
            (folder / INT8).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot write a checkpoint to {folder}: {error}") from error
    return written


def _fill(
    network: nn.Module, weights: dict[str, Tensor], folder: Path, checkpoint: Checkpoint
) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{folder}: the weights do not fit {checkpoint.spec.arch}: {reason}"
        ) from error
