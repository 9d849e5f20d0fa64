"""The table: every point predicted on a device, held against its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edgenet import __version__
from edgenet.dataset import Progress, silent
from edgenet.errors import GraphError, LimitExceeded
from edgenet.fit import accuracy, front, mapped
from edgenet.fit.accuracy import Accuracy, Key
from edgenet.fit.cache import Cache
from edgenet.fit.calibration import Rates
from edgenet.fit.device import Device
from edgenet.fit.footprint import Footprint, file_bytes
from edgenet.fit.generated import Generator
from edgenet.fit.point import Point
from edgenet.fit.record import Excess, Fit, Limit, Limits, Row


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be found out.

    Attributes:
        device: that networks are to fit.
        points: to compare.
        limits: of the device and of the user.
        known: accuracy by architecture, alpha and side.
        rates: of the board's calibration; None without one.
        host: what that was measured on, in words.
        labels: bytes of the classes' names in a model's file; None where they are not known.
        cache: of footprints; None to keep none.
        command: what was typed.
    """

    device: Device
    points: Sequence[Point]
    limits: Limits
    known: Mapping[Key, Accuracy] = field(default_factory=dict)
    rates: Rates | None = None
    host: str = ""
    labels: int | None = None
    cache: Cache | None = None
    command: str = ""


def answer(question: Question, *, progress: Progress = silent) -> Fit:
    """Predict every point.

    Raises:
        TargetError: the compiler failed.
        MissingPackage: flatbuffers is not installed.
    """
    predict = _Predictor(question)
    rows = []
    for done, point in enumerate(question.points):
        progress("planning networks", done, len(question.points))
        rows.append(predict.row(point))
    progress("planning networks", len(rows), len(rows))
    return judged(sorted(rows, key=lambda row: row.macs), question)


def judged(rows: Sequence[Row], question: Question) -> Fit:
    """The record of rows: the front, what to train, or what misses by least."""
    cost = front.axis(rows)
    best = set(front.front(rows, cost))
    device, rates = question.device, question.rates
    return Fit(
        edgenet=__version__,
        command=question.command,
        target=device.target.name,
        board=device.board.name if device.board else None,
        limits=question.limits,
        cost=cost,
        stack=device.stack,
        calibration=described(rates, question.host) if rates else "",
        labelled=question.labels is not None,
        rows=tuple(msgspec.structs.replace(row, front=row.name in best) for row in rows),
        recommended=front.recommended(rows),
        nearest=front.nearest(rows),
    )


def described(rates: Rates, host: str) -> str:
    """What latency is predicted from, in words."""
    threads = f"{rates.threads} thread{'' if rates.threads == 1 else 's'}"
    words = (
        f"{rates.variant} with {threads} on {rates.engine}, from {len(rates.networks)} networks"
        f" measured on {host}"
    )
    if rates.median_error is None or rates.largest_error is None:
        return f"{words}; too few to tell its error, so calibrate anew with more"
    return (
        f"{words}; each predicted from the others is off by {rates.median_error:.0%} in the median,"
        f" {rates.largest_error:.0%} at the most"
    )


class _Predictor:
    def __init__(self, question: Question) -> None:
        self._question = question
        board = question.device.board
        self._generator = Generator(board) if question.device.generates and board else None

    def row(self, point: Point) -> Row:
        question, rates = self._question, self._question.rates
        row = Row(
            name=point.name,
            point=point,
            macs=point.cost().multiply_adds,
            accuracy=accuracy.of(point, question.known),
        )
        if question.device.compiles:
            verdict = mapped.verdict(point)
            row = msgspec.structs.replace(
                row, refused=mapped.refusal(verdict), parameters=verdict.memory.parameters
            )
            if row.refused:
                return row
        try:
            found = self._footprint(point)
        except GraphError as error:
            return msgspec.structs.replace(row, refused=_lacking(error))
        row = msgspec.structs.replace(
            row,
            flash=found.flash,
            ram=found.ram,
            exact=found.exact,
            sram_budget=found.sram_budget,
            latency_ms=rates.latency.of(point.cost()) if rates else None,
        )
        if question.limits.latency_ms is not None and row.latency_ms is None:
            reason = "no profile that the calibration was made of has all its kinds of layers"
            row = msgspec.structs.replace(row, unknown=reason)
        return msgspec.structs.replace(row, over=self._over(row, found.constants))

    def _footprint(self, point: Point) -> Footprint:
        if self._generator is None:
            memory = self._question.rates.memory if self._question.rates else None
            return Footprint(
                flash=file_bytes(point) + (self._question.labels or 0),
                ram=memory.of(point) if memory else None,
                macs=point.cost().multiply_adds,
                exact=False,
            )
        found = self._generated(self._generator, point, None)
        budget = self._arena()
        flash, room = found.flash or found.constants, self._question.limits.flash
        if budget is None or found.ram is None or found.ram <= budget or flash > (room or flash):
            return found
        try:
            return self._generated(self._generator, point, budget)
        except LimitExceeded:
            return found

    def _arena(self) -> int | None:
        """Bytes that an arena may have."""
        limits, stack = self._question.limits, self._question.device.stack
        rooms = [room for room in (limits.ram and limits.ram - stack, limits.block) if room]
        return min(rooms, default=None)

    def _generated(self, generator: Generator, point: Point, budget: int | None) -> Footprint:
        cache, core = self._question.cache, generator.board.core
        found = cache.get(point, core, budget) if cache else None
        if found is None:
            found = generator.footprint(point, sram_budget=budget)
            if cache:
                cache.put(point, core, budget, found)
        return found

    def _over(self, row: Row, constants: int) -> dict[Limit, Excess]:
        limits, stack = self._question.limits, self._question.device.stack
        flash = constants if row.flash is None else row.flash
        reached: tuple[tuple[Limit, float | None, float | None], ...] = (
            ("flash", flash, limits.flash),
            ("ram", None if row.ram is None else row.ram + stack, limits.ram),
            ("block", row.ram, limits.block),
            ("latency", row.latency_ms, limits.latency_ms),
        )
        return {
            name: Excess(value, most, least=name == "flash" and row.flash is None)
            for name, value, most in reached
            if value is not None and most is not None and value > most
        }


def _lacking(error: GraphError) -> str:
    """Why no C is made of a network, in words."""
    if found := re.search(r"operator (\w+) \d+.*not supported", str(error)):
        hint = "; the minimalistic ones have none" if found[1] == "HARD_SWISH" else ""
        return f"the generated C has no {found[1]}{hint}"
    return str(error).partition(": ")[2].partition(";")[0] or str(error)
