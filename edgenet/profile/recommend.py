"""Which model and how many threads to run, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from edgenet.profile.record import Profile, Run, run_title

# A thread more must buy this share of the time, or it is better left to the camera and the system.
WORTH = 0.05


class Recommendation(msgspec.Struct, frozen=True):
    """A run to copy.

    Attributes:
        variant: the model.
        threads: the fewest whose time is within 5 % of the best.
        p50_ms: from picture to answer.
        throttled: whether the board was slowed down meanwhile.
        why: what speaks for it, in words.
    """

    variant: str
    threads: int
    p50_ms: float
    throttled: bool
    why: str


def fastest(runs: Iterable[Run]) -> Run | None:
    """The run with the least median time from picture to answer; None of none."""
    return min(runs, key=_total, default=None)


def recommended(profile: Profile) -> Run | None:
    """The fastest run's model, with as few threads as take it hardly longer.

    A run in which the board was slowed down is taken only where there is no other.
    """
    sound = _sound(profile)
    best = fastest(sound)
    if best is None:
        return None
    close = [run for run in sound if run.variant == best.variant and _close(run, best)]
    return min(close, key=lambda run: run.threads)


def recommend(profile: Profile) -> Recommendation | None:
    """What to run on this machine, and why; None where nothing was measured."""
    run = recommended(profile)
    if run is None:
        return None
    return Recommendation(
        variant=run.variant,
        threads=run.threads,
        p50_ms=_total(run),
        throttled=bool(run.throttled),
        why="; ".join(_reasons(profile, run)),
    )


def _sound(profile: Profile) -> list[Run]:
    """The runs in which the board was not slowed down; all where it was in every one."""
    return [run for run in profile.runs if not run.throttled] or list(profile.runs)


def _reasons(profile: Profile, run: Run) -> Iterator[str]:
    runs = _sound(profile)
    others = [one for one in runs if one.variant == run.variant and one is not run]
    more = fastest(one for one in others if one.threads > run.threads)
    fewer = fastest(one for one in others if one.threads < run.threads)
    if fewer is not None:
        gain = _total(fewer) / _total(run)
        yield f"{gain:.2f} times as fast as with {_threads(fewer.threads)}"
    if more is not None and _total(more) < _total(run):
        gain = 1 - _total(more) / _total(run)
        yield f"{_threads(more.threads)} would save {gain:.0%} and leave fewer cores to the camera"
    elif more is not None:
        yield f"{_threads(more.threads)} are no faster"
    rival = fastest(one for one in runs if one.variant != run.variant)
    if rival is not None:
        title = run_title(rival.variant, rival.threads)
        yield f"next best is {title}, {_total(rival) / _total(run):.2f} times as long"


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _close(run: Run, best: Run) -> bool:
    return _total(run) <= _total(best) * (1 + WORTH)


def _total(run: Run) -> float:
    return run.stats["total"].p50_ms
