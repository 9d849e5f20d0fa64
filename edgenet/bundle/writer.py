"""Writing a bundle: atomic, and the same bytes from the same arguments."""

from __future__ import annotations

import hashlib
import io
import shutil
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgenet.bundle import manifest as manifests
from edgenet.bundle.manifest import (
    MANIFEST,
    Answers,
    Calibration,
    Elimination,
    FileRecord,
    Manifest,
    ModelRecord,
    Rounding,
)
from edgenet.bundle.reader import Array, Bundle, Golden, labels_txt
from edgenet.errors import BundleError
from edgenet.files import write_atomic
from edgenet.spec import ModelSpec, TensorSpec, Variant

Tensors = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]

ROUNDING: dict[Variant, Rounding] = {
    "fp32.tflite": "float",
    "int8.tflite": "float32-half-even",
    "fp32.onnx": "float",
    "int8.onnx": "float32-half-even",
    "int8_edgetpu.tflite": "edgetpu",
    "int16x8.tflite": "int16x8",
    "float16.tflite": "float",
    "dynamic.tflite": "dynamic",
}


def write(  # noqa: PLR0913  (each is one key of the manifest)
    destination: Path,
    *,
    name: str,
    target: str,
    spec: ModelSpec,
    models: Mapping[Variant, bytes],
    tensors: Mapping[Variant, Tensors],
    golden: Golden,
    calibration: Calibration | None,
    drift: dict[str, Any] | None,
    versions: dict[str, str],
    command: str,
    answers: Mapping[Variant, Answers] | None = None,
    elimination: Mapping[Variant, Elimination] | None = None,
    mixed: Collection[Variant] = (),
) -> Bundle:
    """Write a bundle; the same arguments give the same bytes.

    All is written to a folder beside the destination, opened and checked there, and renamed.
    A bundle that is there already is replaced; anything else there is left alone.

    Args:
        destination: the bundle's folder.
        name: of the bundle.
        target: the name of the target that it was made for.
        spec: of the model.
        models: each variant's file.
        tensors: each variant's inputs and outputs.
        golden: of the same variants.
        calibration: None for ranges that were learnt.
        drift: the record of ``edgenet evaluate``, None where it was not run.
        versions: of the packages that made the models.
        command: that made the bundle.
        answers: of the variants that give something else than logits.
        elimination: of the variants whose dead channels were left out.
        mixed: int8 variants some of whose layers stayed float.

    Raises:
        BundleError: the destination is not a bundle, cannot be written, or the parts do not fit.
        ValueError: models, tensors and golden outputs are not of the same variants.
    """
    if not set(models) == set(tensors) == set(golden.outputs):
        raise ValueError("models, tensors and golden outputs differ in their variants")
    check_replaceable(destination)
    contents = {"labels": ("labels.txt", labels_txt(spec.labels))}
    for role, array in (
        ("golden/frames", golden.frames),
        ("golden/inputs", golden.inputs),
        *((f"golden/outputs/{variant}", array) for variant, array in golden.outputs.items()),
    ):
        contents[role] = (f"{role}.npy", npy(array))
    records = {
        variant: ModelRecord(
            *identity(f"models/{variant}", data),
            inputs=tensors[variant][0],
            outputs=tensors[variant][1],
            rounding="mixed" if variant in mixed else ROUNDING[variant],
            answers=(answers or {}).get(variant, "logits"),
            elimination=(elimination or {}).get(variant),
        )
        for variant, data in models.items()
    }
    manifest = Manifest(
        schema=manifests.needed_schema(records),
        name=name,
        target=target,
        spec=spec,
        models=records,
        files={role: FileRecord(*identity(path, data)) for role, (path, data) in contents.items()},
        calibration=calibration,
        drift=drift,
        versions=versions,
        command=command,
    )
    files = {f"models/{variant}": data for variant, data in models.items()}
    files |= dict(contents.values())
    return place(destination, manifest, files)


def place(destination: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Put a bundle in its place, whole or not at all."""
    try:
        _replace(destination, {**files, MANIFEST: manifests.encode(manifest)})
    except OSError as error:
        raise BundleError(
            f"{destination}: cannot be written ({error.strerror or error})"
        ) from error
    return Bundle(destination, manifest)


def amend(bundle: Bundle, *, drift: dict[str, Any]) -> Bundle:
    """Put a drift record into a bundle's manifest; every other file stays as it is.

    Raises:
        BundleError: the manifest cannot be written.
    """
    manifest = msgspec.structs.replace(bundle.manifest, drift=drift)
    try:
        write_atomic(bundle.root / MANIFEST, manifests.encode(manifest))
    except OSError as error:
        raise BundleError(
            f"{bundle.root}: {MANIFEST} cannot be written: {error.strerror}"
        ) from error
    return Bundle(bundle.root, manifest)


def _replace(destination: Path, files: Mapping[str, bytes]) -> None:
    """Write the files to a folder beside the destination, check it, and put it in its place."""
    place, mark = destination.resolve(), uuid.uuid4().hex[:8]
    new, old = (place.with_name(f".{place.name}.{mark}.{state}") for state in ("new", "old"))
    try:
        for path, data in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(data)
        Bundle.open(new).golden()
        if place.exists():
            place.rename(old)
        try:
            new.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
    except BundleError as error:
        raise BundleError(str(error).replace(str(new), str(destination))) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(destination: Path) -> None:
    """Refuse to replace what is there, unless it is a bundle and nothing else."""
    if not destination.exists():
        return
    if not destination.is_dir():
        raise BundleError(f"{destination} is a file; choose another name for the bundle's folder")
    found = {
        path.relative_to(destination).as_posix()
        for path in destination.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    if not found:
        return
    try:
        manifest = manifests.read(destination)
    except BundleError as error:
        raise BundleError(
            f"{destination} exists and is not a bundle; remove it or choose another folder"
        ) from error
    records: Iterable[FileRecord] = (*manifest.models.values(), *manifest.files.values())
    strangers = sorted(found - {MANIFEST} - {record.path for record in records})
    if strangers:
        raise BundleError(
            f"{destination} also holds {strangers[0]}, which is not part of the bundle;"
            " move it away or choose another folder"
        )


def identity(path: str, data: bytes) -> tuple[str, str, int]:
    """What a ``FileRecord`` is made of."""
    return path, hashlib.sha256(data).hexdigest(), len(data)


def npy(array: Array) -> bytes:
    """An array as NumPy's file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
