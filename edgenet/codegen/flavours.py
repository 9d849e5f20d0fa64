"""Kernels that have another flavour with MVE, under one name each, so that a schedule reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgenet.codegen.call import Call


def definitions(program: str, calls: Iterable[Call]) -> str:
    """Macros of the kernels among some calls whose flavours differ; empty where none do."""
    found = {call.kernel: call for call in calls if call.mve}
    if not found:
        return ""
    flavours: tuple[list[str], list[str]] = ([], [])
    for kernel in sorted(found):
        call = found[kernel]
        for lines, one in zip(flavours, call.flavours, strict=True):
            taken = ", ".join(_arguments(one))
            lines.append(
                f"#define {_macro(call)}({', '.join(_arguments(call))})"
                f" {program}_{one.kernel}({taken})"
            )
    scalar, mve = ("\n".join(lines) for lines in flavours)
    return (
        "/* Kernels of the flavour that this compiler builds. */\n"
        f"#if {program.upper()}_EN_MVE\n{mve}\n#else\n{scalar}\n#endif\n"
    )


def statement(program: str, call: Call, arguments: Sequence[str]) -> str:
    """A call in C.

    Args:
        program: its name.
        call: of a kernel; with its flavours by the macro.
        arguments: its struct, inputs, output, and scratch where it takes that.
    """
    name = _macro(call) if call.mve else f"{program}_{call.kernel}"
    return f"{name}({', '.join(arguments)});"


def _macro(call: Call) -> str:
    """``en_conv_1x1_s8`` as ``CONV_1X1``."""
    return call.kernel.removeprefix("en_").removesuffix("_s8").upper()


def _arguments(call: Call) -> list[str]:
    inputs = ["in"] if len(call.inputs) == 1 else ["first", "second"]
    return ["layer", *inputs, "out", *["scratch"] * call.scratch]
