"""What commands that write a bundle do for a target whose device has a compiler of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgenet.errors import ExportError

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.edgetpu import Verdict
    from edgenet.edgetpu.log import Log
    from edgenet.spec import Variant
    from edgenet.target import Target


def finished(
    target: Target,
    output: Path,
    write: Callable[[Path], Bundle],
    *,
    board: str | None = None,
    sram_budget: int | None = None,
) -> tuple[Bundle, str]:
    """A bundle with all that its target makes of the models, and what to say of it.

    Args:
        target: that it is for.
        output: the bundle's folder; where something is refused, nothing is written.
        write: writes the bundle without that.
        board: a microcontroller that it is made for.
        sram_budget: bytes of its RAM.
    """
    if not target.on_boards:
        return complete(write(output), target.variants)
    with tempfile.TemporaryDirectory(prefix="edgenet-export-") as folder:
        bundle = write(Path(folder, "bundle"))
        return target.complete(bundle, output, board=board, sram_budget=sram_budget)


def complete(bundle: Bundle, wanted: tuple[Variant, ...]) -> tuple[Bundle, str]:
    """The bundle with the compiled model, where the compiler is here, and what to say of it.

    A compiler that refuses costs a warning: what the bundle holds runs on the CPU.

    Args:
        bundle: as it was written.
        wanted: the target's variants.
    """
    from edgenet import edgetpu, tflite
    from edgenet.edgetpu import compiler
    from edgenet.spec import COMPILED_FROM

    original = COMPILED_FROM[compiler.VARIANT]
    if compiler.VARIANT not in wanted or original not in bundle.variants:
        return bundle, ""
    path = bundle.model(original)
    content = path.read_bytes()
    verdict = edgetpu.check(tflite.read(content, str(path)))
    log = None
    if verdict.mapped and compiler.available() and compiler.VARIANT not in bundle.variants:
        try:
            compiled = compiler.compile(content, path.name)
        except ExportError as error:
            click.echo(f"warning: {error}; the bundle runs on the CPU", err=True)
        else:
            bundle, log = compiler.add(bundle, compiled, bundle.root), compiled.log
    return bundle, _said(bundle, verdict, log)


def _said(bundle: Bundle, verdict: Verdict, log: Log | None) -> str:
    from edgenet.edgetpu import compiler
    from edgenet.report import edgetpu as report

    lines = ["Edge TPU:", *(f"  {line}" for line in report.summary(verdict))]
    if not verdict.whole:
        lines.append(f"  edgenet check {bundle.root} names each operator's rule.")
    if log is not None:
        lines += [f"  {line}" for line in report.compared(verdict, log)]
    elif verdict.mapped and compiler.VARIANT not in bundle.variants:
        made = Path(compiler.VARIANT)
        lines += [
            f"  It is not compiled yet: {compiler.COMMAND} is not here. On a machine with Docker:",
            compiler.recipe(str(bundle.model("int8.tflite"))),
            "  and then:",
            f"  edgenet bundle {bundle.root} --compiled {made} -o {bundle.root}",
        ]
    return "\n".join(lines)
