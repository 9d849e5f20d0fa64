"""A chain of layers as C: the table of its stages, and the function that makes a row of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgenet.codegen import flavours, text
from edgenet.codegen.call import Field
from edgenet.codegen.plan import Plan
from edgenet.codegen.rows import Rows, Stage

HEADER = "en_rows_s8.h"


def definitions(program: str, layer: Rows, plan: Plan, structs: Sequence[str]) -> Iterator[str]:
    """What a chain needs beside the structs of its layers.

    Args:
        program: its name.
        layer: the chain.
        plan: of the arena.
        structs: names of the parameters of each layer.
    """
    name = text.identifier(layer.layer.name)
    parts = plan.parts[layer.layer.name]
    tables = []
    for stage, window in zip(layer.stages, layer.windows, strict=True):
        at = -1 if window is None else parts[window]
        tables.append(text.INDENT + text.struct(_stage(stage, at), _no_name, 2))
    table = ",\n".join(tables)
    yield f"static const {program}_en_rows_stage {name}_stages[] = {{\n{table}\n}};\n"
    fields: dict[str, Field] = {
        "count": len(layer.stages),
        "in": plan.addresses[layer.layer.inputs[0]],
        "out": plan.addresses[layer.layer.output],
        "out_row_bytes": layer.stages[-1].out_bytes,
    }
    body = text.struct(fields, _no_name).replace("{\n", f"{{\n{text.INDENT}{name}_stages,\n", 1)
    yield f"static const {program}_en_rows {name} = {body};\n"
    yield (
        f"static void {name}_row(int8_t *a, int32_t stage, const int8_t *window, int8_t *out)\n"
        "{\n    (void)a;\n    switch (stage) {\n"
        + "\n".join(_cases(program, layer, parts, structs))
        + "\n    default:\n        break;\n    }\n}\n"
    )


def call(program: str, layer: Rows) -> str:
    """The statement that runs a chain."""
    name = text.identifier(layer.layer.name)
    return f"    {program}_en_rows_s8(&{name}, {name}_row, a);"


def _cases(
    program: str, layer: Rows, parts: Sequence[int], structs: Sequence[str]
) -> Iterator[str]:
    for number, (each, scratch) in enumerate(zip(layer.calls, layer.scratches, strict=True)):
        own = [f"&a[{0 if scratch is None else parts[scratch]}]"] * each.scratch
        line = flavours.statement(program, each, [f"&{structs[number]}", "window", "out", *own])
        yield f"    case {number}:\n        {line}\n        break;"


def _stage(stage: Stage, window: int) -> dict[str, Field]:
    return {
        "window": window,
        "row_bytes": stage.row_bytes,
        "in_rows": stage.in_rows,
        "out_rows": stage.out_rows,
        "kernel_rows": stage.kernel_rows,
        "row_stride": stage.stride,
        "pad_top": stage.pad_top,
        "code": stage.code,
    }


def _no_name(constant: object) -> str:
    raise ValueError(f"{constant} has no name in a table of stages")
