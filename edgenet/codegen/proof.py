"""What a program proves itself by, and what it says of itself, as C."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.codegen import template, text
from edgenet.codegen.program import Golden, Program
from edgenet.errors import UsageError
from edgenet.int8.graph import Port


def golden_header(program: Program, golden: Golden) -> str:
    """Inputs and outputs of pictures, and the CRC of each layer."""
    name, graph = program.name, program.graph
    arrays = [
        text.array(
            "int8_t",
            f"{name}_golden_{kind}{template.count(number, lower=True)}",
            values,
            storage="static const",
        )
        for kind, many in (("input", golden.inputs), ("output", golden.outputs))
        for number, values in enumerate(many)
    ]
    crcs = text.array("uint32_t", f"{name}_golden_crc", golden.crcs, storage="static const")
    copy = "(void)memcpy({name}_input{n}(arena), {name}_golden_input{n}[picture], {size});"
    compare = (
        "differs |= memcmp({name}_output{n}(arena), {name}_golden_output{n}[picture], {size});"
    )
    return template.of(program)(
        "golden.h",
        arrays="\n".join([*arrays, crcs]),
        set_inputs=_each(program, graph.inputs, copy),
        compare_outputs=_each(program, graph.outputs, compare),
        pictures=str(golden.pictures),
        layers=str(golden.crcs.shape[1]),
    )


def _each(program: Program, ports: tuple[Port, ...], line: str) -> str:
    lines = [
        line.format(
            name=program.name,
            n=template.count(number, lower=True),
            size=program.graph.values[port.value].size,
        )
        for number, port in enumerate(ports)
    ]
    return "\n".join(text.INDENT + line for line in lines)


def info(program: Program, labels: Sequence[str]) -> str:
    """What there is to know of a program, and the labels of its first output.

    Raises:
        UsageError: they are not as many as outputs.
    """
    outputs = program.graph.values[program.graph.outputs[0].value].size
    if labels and len(labels) != outputs:
        raise UsageError(
            f"{program.name} has {outputs} outputs and {len(labels)} labels; give one for each"
        )
    table = f"{program.name}_labels"
    lines = "".join(f"{text.INDENT}{text.string(label)},\n" for label in labels)
    return template.of(program)(
        "info.c",
        labels=f"static const char *const {table}[] = {{\n{lines}}};\n" if labels else "",
        table=table if labels else "NULL",
    )
