"""What differs between two profiles beside the speed of their models."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edgenet.profile.record import Profile, Run


class Difference(msgspec.Struct, frozen=True):
    """Something other than the models' speed that differs between two profiles, or is wrong.

    Attributes:
        what: board, governor, ...
        first: in the first profile.
        second: in the second.
        fatal: whether a ratio then says nothing about what is compared, so that no limit on it can
            be judged.
    """

    what: str
    first: str
    second: str
    fatal: bool


def differences(first: Profile, second: Profile) -> Iterator[Difference]:
    """Everything that should be the same and is not, and what spoils either profile."""
    for what, fatal, one, other in _conditions(first, second):
        if one != other:
            yield Difference(what, one, other, fatal)
    for variant in dict.fromkeys(run.variant for run in first.runs):
        runs = _run(first, variant), _run(second, variant)
        if runs[0] and runs[1]:
            yield from _models(runs[0], runs[1], first, second)
    emulators = [profile.machine.emulator for profile in (first, second)]
    if any(emulators):
        words = [f"emulated by {one}" if one else "not emulated" for one in emulators]
        yield Difference("emulation", words[0], words[1], fatal=True)
    slowed = _slowed(first), _slowed(second)
    if any(slowed):
        yield Difference("throttling", slowed[0] or "none", slowed[1] or "none", fatal=True)


def _conditions(first: Profile, second: Profile) -> Iterator[tuple[str, bool, str, str]]:
    """What should be the same: its name, whether it matters too much, and both values."""

    def both(values: tuple[object, object]) -> tuple[str, str]:
        one, other = ("not known" if value is None else str(value) for value in values)
        return one, other

    here, there = first.machine, second.machine
    yield "board", True, *both((here.board, there.board))
    yield "CPU", True, *both((here.cpu, there.cpu))
    yield "cores", True, *both((here.cores, there.cores))
    yield "limit of a container", True, *both((here.quota or "none", there.quota or "none"))
    yield "governor", True, *both((_governor(first), _governor(second)))
    yield "frame size", True, *both((_frame(first), _frame(second)))
    services = ", ".join(first.competitors), ", ".join(second.competitors)
    yield "competing services", True, *both((services[0] or "none", services[1] or "none"))
    yield "operating system", False, *both((here.os, there.os))
    yield "kernel", False, *both((here.kernel, there.kernel))


def _models(one: Run, other: Run, first: Profile, second: Profile) -> Iterator[Difference]:
    engines = _engine(one), _engine(other)
    if engines[0] != engines[1]:
        yield Difference(f"engine of {one.variant}", *engines, fatal=False)
    hashes = _hash(one, first), _hash(other, second)
    if hashes[0] != hashes[1]:
        yield Difference(f"model {one.variant}", *hashes, fatal=False)


def _run(profile: Profile, variant: str) -> Run | None:
    return next((run for run in profile.runs if run.variant == variant), None)


def _slowed(profile: Profile) -> str:
    """What slowed a profile's runs down, in words; empty if nothing did."""
    runs = [run.throttled or () for run in (*profile.runs, profile.sustained) if run is not None]
    slowed = [reasons for reasons in runs if reasons]
    words = ", ".join(dict.fromkeys(reason for reasons in slowed for reason in reasons))
    return f"{words} in {len(slowed)} of {len(runs)} runs" if slowed else ""


def _engine(run: Run) -> str:
    return f"{run.measured.engine} {run.measured.engine_version}"


def _governor(profile: Profile) -> str | None:
    found = {state.governor for run in profile.runs for state in run.states if state.governor}
    return ", ".join(sorted(found)) or None


def _frame(profile: Profile) -> str:
    return f"{profile.settings.frame_width}x{profile.settings.frame_height}"


def _hash(run: Run, profile: Profile) -> str:
    """The model's identity; an older record knows its bundle's alone."""
    if run.model_sha256:
        return f"sha256 {run.model_sha256[:12]}"
    return f"of bundle {profile.bundle_sha256[:12]}"
