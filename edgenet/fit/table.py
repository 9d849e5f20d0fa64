"""The table: every point predicted on a device, held against its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edgenet import __version__
from edgenet.dataset import Progress, silent
from edgenet.errors import GraphError, LimitExceeded
from edgenet.fit import accuracy, front
from edgenet.fit.accuracy import Accuracy, Key
from edgenet.fit.cache import Cache
from edgenet.fit.calibration import Rates
from edgenet.fit.device import Device
from edgenet.fit.footprint import Footprint, file_bytes
from edgenet.fit.generated import Generator
from edgenet.fit.point import Point
from edgenet.fit.record import Fit, Limit, Limits, Row


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be found out.

    Attributes:
        device: that networks are to fit.
        points: to compare.
        limits: of the device and of the user.
        known: accuracy by architecture, alpha and side.
        rates: of the board's calibration; None without one.
        cache: of footprints; None to keep none.
        command: what was typed.
    """

    device: Device
    points: Sequence[Point]
    limits: Limits
    known: Mapping[Key, Accuracy] = field(default_factory=dict)
    rates: Rates | None = None
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
        calibration=described(rates) if rates else "",
        rows=tuple(msgspec.structs.replace(row, front=row.name in best) for row in rows),
        recommended=front.recommended(rows),
        nearest=front.nearest(rows),
    )


def described(rates: Rates) -> str:
    """What latency is predicted from, in words."""
    threads = f"{rates.threads} thread{'' if rates.threads == 1 else 's'}"
    words = f"{rates.variant} with {threads} on {rates.engine}, from {len(rates.networks)} networks"
    if rates.median_error is None or rates.largest_error is None:
        return f"{words}; too few to tell its error"
    return (
        f"{words}; each predicted from the others is off by {rates.median_error:.0%} in the median,"
        f" {rates.largest_error:.0%} at the most"
    )


class _Predictor:
    def __init__(self, question: Question) -> None:
        self._question = question
        board = question.device.board
        self._generator = Generator(board) if question.device.generates and board else None
        self._refused: dict[str, str] = {}  # by architecture

    def row(self, point: Point) -> Row:
        question, macs = self._question, point.cost().multiply_adds
        row = Row(
            name=point.name,
            point=point,
            macs=macs,
            accuracy=accuracy.of(point, question.known),
            refused=self._refused.get(point.arch, ""),
        )
        if row.refused:
            return row
        try:
            found = self._footprint(point)
        except GraphError as error:
            reason = str(error).partition(": ")[2].partition(";")[0] or str(error)
            self._refused[point.arch] = reason
            return msgspec.structs.replace(row, refused=reason)
        rates = question.rates
        row = msgspec.structs.replace(
            row,
            flash=found.flash,
            ram=found.ram,
            exact=found.exact,
            sram_budget=found.sram_budget,
            latency_ms=rates.latency.of(point.cost()) if rates else None,
        )
        if question.limits.latency_ms is not None and row.latency_ms is None:
            reason = "the calibration has no network with all its kinds of layers"
            return msgspec.structs.replace(row, refused=reason)
        return msgspec.structs.replace(row, over=self._over(row, found.constants))

    def _footprint(self, point: Point) -> Footprint:
        if self._generator is None:
            memory = self._question.rates.memory if self._question.rates else None
            return Footprint(
                flash=file_bytes(point),
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
        device, ram = self._question.device, self._question.limits.ram
        block = device.board.arena_bytes if device.board else None
        rooms = [room for room in (ram and ram - device.stack, block) if room]
        return min(rooms, default=None)

    def _generated(self, generator: Generator, point: Point, budget: int | None) -> Footprint:
        cache, core = self._question.cache, generator.board.core
        found = cache.get(point, core, budget) if cache else None
        if found is None:
            found = generator.footprint(point, sram_budget=budget)
            if cache:
                cache.put(point, core, budget, found)
        return found

    def _over(self, row: Row, constants: int) -> dict[Limit, float]:
        limits, stack = self._question.limits, self._question.device.stack
        flash = constants if row.flash is None else row.flash
        reached: tuple[tuple[Limit, float | None, float | None], ...] = (
            ("flash", flash, limits.flash),
            ("ram", None if row.ram is None else row.ram + stack, limits.ram),
            ("latency", row.latency_ms, limits.latency_ms),
        )
        over = {
            name: value / most
            for name, value, most in reached
            if value is not None and most is not None and value > most
        }
        room = self._arena()
        if "ram" not in over and row.ram and room and row.ram > room:
            over["ram"] = row.ram / room
        return over
