"""``edgenet check``: what of a model the Edge TPU runs, operator by operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgenet.errors import EngineError, ExportError, LimitExceeded, nothing_at

if TYPE_CHECKING:
    from edgenet.edgetpu import Verdict
    from edgenet.edgetpu.log import Log

_VARIANT = "int8.tflite"


@click.command(short_help="Tell what of a model the Edge TPU runs.")
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.tflite|BUNDLE")
@click.option(
    "--no-compiler", is_flag=True, help="Go by the rules alone, even with edgetpu_compiler here."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(model: Path, no_compiler: bool, as_json: bool) -> None:
    """Tell for each operator of a .tflite, or a bundle's int8.tflite, whether the Edge TPU runs it.

    By the documented rules, on any machine; where edgetpu_compiler is on the PATH it is run too,
    and what it says is held against the rules. A compiled model is described.

    Ends with exit code 3 when an operator stays on the CPU.
    """
    from edgenet import edgetpu, tflite
    from edgenet.edgetpu import compiler
    from edgenet.report import edgetpu as report

    path = _file(model)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error.strerror or error})") from error
    verdict = edgetpu.check(tflite.read(content, str(model)))
    log = None
    if not no_compiler and not verdict.compiled and compiler.available():
        log = _compile(content, path.name)
    if as_json:
        click.echo(json.dumps(report.record(verdict, log), indent=2))
    else:
        click.echo(report.text(verdict, log))
        if log is None and verdict.mapped:
            click.echo(
                f"\nTo compile it, on any machine with Docker:\n{compiler.recipe(str(path))}"
            )
    _judge(verdict, log)


def _file(model: Path) -> Path:
    """The .tflite that is meant."""
    if model.is_dir():
        from edgenet.bundle import Bundle

        return Bundle.open(model).model(_VARIANT)
    if not model.exists():
        raise EngineError(nothing_at(model))
    return model


def _compile(content: bytes, name: str) -> Log:
    """The compiler's log; what it refuses has one, too."""
    from edgenet.edgetpu import compiler
    from edgenet.edgetpu.log import parse

    try:
        return compiler.compile(content, name).log
    except ExportError as error:
        return parse(f"ERROR: {error}")


def _judge(verdict: Verdict, log: Log | None) -> None:
    if verdict.compiled or (verdict.whole if log is None else log.whole):
        return
    if log is not None and log.faults:
        raise LimitExceeded(log.faults[0])
    if verdict.refused:
        raise LimitExceeded(f"the compiler does not take {verdict.model}: {verdict.refused}")
    left = [one for one in verdict.operators if one.status in ("cpu", "later")]
    if log is not None:
        left_count = sum(row.count for row in log.rows) - log.mapped
        raise LimitExceeded(f"the compiler leaves {left_count} operators to the CPU")
    raise LimitExceeded(
        f"{len(left)} of {len(verdict.operators)} operators stay on the CPU; the first is number"
        f" {left[0].index}, {left[0].operator}: {left[0].rule}"
    )
