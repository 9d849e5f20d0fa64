"""Bundles written again with what was made of their models: compiled ones, and programs in C."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgenet.bundle.manifest import FileRecord, ModelRecord, ProgramRecord
from edgenet.bundle.reader import Array, Bundle
from edgenet.bundle.writer import ROUNDING, check_replaceable, identity, npy, place
from edgenet.spec import COMPILED_FROM, Variant


def add_model(
    bundle: Bundle,
    variant: Variant,
    content: bytes,
    destination: Path,
    *,
    versions: Mapping[str, str],
) -> Bundle:
    """Write a bundle again with what a device's compiler made of one of its models.

    The compiled model takes and gives what the other does, and has its golden outputs: only the
    device can say by how many steps its own arithmetic differs from them.

    Args:
        bundle: an opened bundle that holds what ``variant`` is compiled from.
        variant: one of ``spec.COMPILED_FROM``.
        content: the compiled model's bytes.
        destination: where to write; the folder of the bundle itself will do.
        versions: of the compiler.

    Raises:
        BundleError: the bundle lacks the original, or the destination cannot be written.
    """
    check_replaceable(destination)
    original = COMPILED_FROM[variant]
    record = bundle.record(original)
    manifest = bundle.manifest
    old_role, role = f"golden/outputs/{original}", f"golden/outputs/{variant}"
    paths = [one.path for one in (*manifest.models.values(), *manifest.files.values())]
    files = {path: (bundle.root / path).read_bytes() for path in paths}
    files[f"models/{variant}"] = content
    files[f"{role}.npy"] = files[manifest.files[old_role].path]
    manifest = msgspec.structs.replace(
        manifest,
        models=manifest.models
        | {
            variant: ModelRecord(
                *identity(f"models/{variant}", content),
                inputs=record.inputs,
                outputs=record.outputs,
                rounding=ROUNDING[variant],
                answers=record.answers,
            )
        },
        files=manifest.files | {role: FileRecord(*identity(f"{role}.npy", files[f"{role}.npy"]))},
        versions=manifest.versions | dict(versions),
    )
    return place(destination, manifest, files)


def add_program(
    bundle: Bundle,
    program: ProgramRecord,
    content: Mapping[str, bytes],
    answers: Array,
    destination: Path,
    *,
    target: str,
) -> Bundle:
    """Write a bundle again with a program in C of its int8 .tflite.

    Args:
        bundle: an opened bundle that holds an int8 .tflite.
        program: what the manifest says of it.
        content: the program's files, by their paths in the bundle; each path is a role.
        answers: to the golden inputs, in the program's arithmetic: they take the place of the
            int8 .tflite's golden outputs.
        destination: where to write; the folder of the bundle itself will do.
        target: that it is for.

    Raises:
        BundleError: there is no int8 .tflite, or the destination cannot be written.
    """
    variant: Variant = "int8.tflite"
    check_replaceable(destination)
    record, manifest = bundle.record(variant), bundle.manifest
    old = {role for role, one in manifest.files.items() if role == one.path}
    kept = {role: one for role, one in manifest.files.items() if role not in old}
    files = {
        one.path: (bundle.root / one.path).read_bytes()
        for one in (*manifest.models.values(), *kept.values())
    }
    golden = kept[f"golden/outputs/{variant}"].path
    files |= {golden: npy(answers), **content}
    records = {role: FileRecord(*identity(role, data)) for role, data in content.items()}
    records[f"golden/outputs/{variant}"] = FileRecord(*identity(golden, files[golden]))
    record = msgspec.structs.replace(record, rounding=program.rounding)
    manifest = msgspec.structs.replace(
        manifest,
        target=target,
        models=manifest.models | {variant: record},
        files=kept | records,
        program=program,
    )
    return place(destination, manifest, files)
