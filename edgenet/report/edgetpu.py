"""What the Edge TPU's checker found, as text and as a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from edgenet.edgetpu import CompiledPart, Memory, OperatorCheck, Verdict
from edgenet.edgetpu.log import Log, differences
from edgenet.report import units
from edgenet.report.text import table

_WORDS = {
    "mapped": "Edge TPU",
    "cpu": "CPU",
    "later": "CPU",
    "compiled": "compiled",
}


def text(verdict: Verdict, log: Log | None) -> str:
    """A line for each operator, and what comes of them.

    Args:
        verdict: by the rules.
        log: of the compiler, where it ran.
    """
    rows = [
        [str(one.index), one.operator, "x".join(map(str, one.shape)), _WORDS[one.status], _why(one)]
        for one in verdict.operators
    ]
    lines = [
        verdict.model,
        table(["", "operator", "output", "runs on", ""], rows, texts=5),
        "",
        *summary(verdict),
    ]
    if log is not None:
        lines += ["", *compared(verdict, log)]
    return "\n".join(lines)


def summary(verdict: Verdict) -> list[str]:
    """What comes of the operators, a sentence each."""
    if verdict.compiled:
        return [_part(part) for part in verdict.compiled]
    total = len(verdict.operators)
    if verdict.refused:
        return [f"The compiler does not take this model: {verdict.refused}."]
    lines = [
        f"{verdict.mapped} of {total} operators run on the Edge TPU"
        + (f", in {_parts(verdict.subgraphs)}." if verdict.mapped else ".")
    ]
    if verdict.possible > 1:
        lines.append(
            f"The rules allow {verdict.possible} parts, but the compiler makes the first alone;"
            " what comes after an operator of the CPU stays there."
        )
    if verdict.mapped:
        lines.append(_fits(verdict.memory))
    return lines


def record(verdict: Verdict, log: Log | None) -> dict[str, Any]:
    """For JSON: the verdict, the compiler's log and where they differ; null without a compiler."""
    found: dict[str, Any] = msgspec.to_builtins(verdict)
    found["whole"] = verdict.whole
    found["compiler"] = None if log is None else msgspec.to_builtins(log)
    found["differences"] = None if log is None else list(differences(verdict, log))
    return found


def _why(one: OperatorCheck) -> str:
    if one.status == "later":
        return "it breaks no rule, but an operator before it does"
    return one.rule


def _fits(memory: Memory) -> str:
    size, cache = _size(memory.parameters), _size(memory.cache)
    if memory.fits == "yes":
        return f"Its parameters, {size}, fit the device's cache of {cache}."
    if memory.fits == "maybe":
        return (
            f"Its parameters, {size}, may not fit the cache of {cache}, part of which the"
            f" instructions take: up to {_size(memory.streamed_most)} would be sent with each"
            " inference."
        )
    return (
        f"Its parameters, {size}, do not fit the cache of {cache}:"
        f" {_size(memory.streamed)} to {_size(memory.streamed_most)} are sent with each"
        " inference, which waits for them."
    )


def _size(count: int) -> str:
    return units.size(count) or ""


def _parts(count: int) -> str:
    return "one part" if count == 1 else f"{count} parts"


def _part(part: CompiledPart) -> str:
    if part.unreadable:
        return (
            f"Compiled for the Edge TPU: {_size(part.bytes)}, whose form is not known here"
            f" ({part.unreadable})."
        )
    kept = "kept in its cache" if part.cached else "sent with each inference"
    return (
        f"Compiled for the Edge TPU by compiler {part.compiler}: {_size(part.bytes)},"
        f" of it {_size(part.parameters)} of parameters, {kept}; needs runtime"
        f" {part.min_runtime} or newer."
    )


def compared(verdict: Verdict, log: Log) -> Sequence[str]:
    """What the compiler came to, and where the rules differ."""
    name = f"edgetpu_compiler {log.version or ''}".strip()
    if log.faults:
        lines = [f"{name} refuses the model: {log.faults[0]}"]
    else:
        total = sum(row.count for row in log.rows)
        lines = [f"{name}: {log.mapped} of {total} operators, {_parts(log.subgraphs or 0)}"]
        if log.cached is not None and log.streamed is not None:
            lines[0] += f"; parameters: {_size(log.cached)} kept, {_size(log.streamed)} streamed"
    found = differences(verdict, log)
    if not found:
        return [*lines, "The rules say the same."]
    return [*lines, "The rules differ:", *(f"  {one}" for one in found)]
