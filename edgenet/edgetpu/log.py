"""What ``edgetpu_compiler -s`` prints, read, and held against what the rules say.

The form is that of logs which users pasted: github.com/google-coral/edgetpu/issues 342, 356, 490,
512, 671 and github.com/PINTO0309/openvino2tensorflow/issues/28, of compilers 2.1 to 16.0.
"""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from edgenet.edgetpu.record import Verdict

MAPPED = "Mapped to Edge TPU"

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ROW = re.compile(r"([A-Z][A-Z0-9_]*|[\w-]+-op)\s+(\d+)\s+(\S.*?)\s*")
_FAULT = re.compile(
    r"ERROR: (?P<error>.+)"
    r"|(?P<failed>Compilation failed: .+|Invalid model: .+|Internal compiler error.*)"
)


class Row(msgspec.Struct, frozen=True):
    """Operators of one kind that came to the same."""

    operator: str
    count: int
    status: str


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """A compiler's log; None where it does not say.

    Attributes:
        version: of the compiler.
        cached: bytes of parameters that the device keeps.
        remaining: bytes of its cache that are left.
        streamed: bytes of parameters that are sent with each inference.
        subgraphs: parts on the Edge TPU.
        operations: of the model.
        rows: the table of operators.
        faults: why it failed, in its own words.
    """

    version: str | None
    cached: int | None
    remaining: int | None
    streamed: int | None
    subgraphs: int | None
    operations: int | None
    rows: tuple[Row, ...]
    faults: tuple[str, ...]

    @property
    def mapped(self) -> int:
        """How many operators run on the Edge TPU."""
        return sum(row.count for row in self.rows if row.status == MAPPED)

    @property
    def whole(self) -> bool:
        """Whether the table has operators, and all of them are mapped."""
        return bool(self.rows) and all(row.status == MAPPED for row in self.rows)


def parse(text: str) -> Log:
    """Read a log; lines that mean nothing here are passed over."""

    def number(pattern: str) -> int | None:
        found = re.search(pattern, text)
        return int(found[1]) if found else None

    def size(what: str) -> int | None:
        found = re.search(rf"{what}: ([\d.]+)([KMG]?i?B)", text)
        return round(float(found[1]) * _UNITS[found[2]]) if found else None

    version = re.search(r"Edge TPU Compiler version (\S+)", text)
    lines = [line.strip() for line in text.splitlines()]
    rows = [found for line in lines if (found := _ROW.fullmatch(line))]
    faults = [found for line in lines if (found := _FAULT.match(line))]
    return Log(
        version=version[1] if version else None,
        cached=size("On-chip memory used for caching model parameters"),
        remaining=size("On-chip memory remaining for caching model parameters"),
        streamed=size("Off-chip memory used for streaming uncached model parameters"),
        subgraphs=number(r"Number of Edge TPU subgraphs: (\d+)"),
        operations=number(r"Total number of operations: (\d+)"),
        rows=tuple(Row(row[1], int(row[2]), row[3]) for row in rows),
        faults=tuple(found["error"] or found["failed"] for found in faults),
    )


def differences(verdict: Verdict, log: Log) -> tuple[str, ...]:
    """Where the compiler came to something else than the rules, a sentence each."""
    if log.faults:
        return () if verdict.refused else (f"the compiler refuses the model: {log.faults[0]}",)
    found = []
    if verdict.refused:
        found.append(f"the compiler takes the model, the rules say: {verdict.refused}")
    predicted = Counter(one.operator for one in verdict.operators if one.status == "mapped")
    actual: Counter[str] = Counter()
    for row in log.rows:
        actual[row.operator] += row.count if row.status == MAPPED else 0
    found += [
        f"{name}: the rules map {predicted[name]}, the compiler {actual[name]}"
        for name in sorted(predicted | actual)
        if predicted[name] != actual[name]
    ]
    if log.subgraphs is not None and log.subgraphs != verdict.subgraphs:
        found.append(f"subgraphs: the rules make {verdict.subgraphs}, the compiler {log.subgraphs}")
    if log.streamed and verdict.memory.fits == "yes":
        found.append(f"parameters: the rules stream none, the compiler {log.streamed} bytes")
    if log.streamed == 0 and verdict.memory.fits == "no":
        found.append(f"parameters: the rules stream {verdict.memory.streamed} bytes, it none")
    return tuple(found)
