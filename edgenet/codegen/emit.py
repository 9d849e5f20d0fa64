"""Writes a program as one folder of C99 that needs nothing else."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from edgenet.codegen import builds, kernels, proof, report, template
from edgenet.codegen.picture import Picture, placed
from edgenet.codegen.program import Golden, Program
from edgenet.codegen.source import Source
from edgenet.spec import Preprocess

SOURCES = "src"
"""The folder's C, where Arduino and PlatformIO look for it."""


def files(
    program: Program,
    golden: Golden,
    *,
    picture: Picture | None = None,
    labels: Sequence[str] = (),
) -> dict[str, str]:
    """Every file of the folder by name; the same program gives the same text."""
    source, fill, name = Source(program), template.of(program), program.name
    sources = {
        f"{name}.h": source.header(),
        f"{name}.c": source.schedule(),
        f"{name}_info.c": proof.info(program, labels),
        f"{name}_weights.h": source.weight_declarations(),
        f"{name}_weights.c": source.weights(),
        f"{name}_golden.h": proof.golden_header(program, golden),
        f"{name}_selftest.c": fill("selftest.c"),
        **kernels.files([*program.kernels, "en_crc32"], name),
    }
    if picture:
        sources |= {
            **{f"{name}_{f}": fill(f, **picture.words) for f in ("image.h", "image.c")},
            **kernels.files(["en_image"], name),
        }
    found = {f"{SOURCES}/{file}": sources[file] for file in sorted(sources)}
    return {
        **found,
        "examples/main.c": fill("example_main.c"),
        "LICENSE": fill("LICENSE"),
        **builds.files(name, found, fill, picture=picture is not None, arena=program.plan.size),
    }


def write(
    program: Program,
    folder: Path,
    *,
    preprocess: Preprocess | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write the folder with its reports, whole or not at all.

    Args:
        program: what to write.
        folder: where; what is there goes.
        preprocess: of a model whose input is a picture: frames become inputs in C as well.
            ``picture.refusal`` says whether it can be.
        labels: of the first output's codes.

    Raises:
        UsageError: the input is no such picture, or labels are not as many as outputs.
        OSError: it cannot be written.
    """
    picture = None
    if preprocess:
        program, picture = placed(program, preprocess)
    made = files(program, program.golden(), picture=picture, labels=labels)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        for name, content in {**made, **report.files(program)}.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
