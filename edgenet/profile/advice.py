"""What a reader of a profile should know beside its numbers, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from edgenet.profile.expected import unexpected
from edgenet.profile.record import Profile, Run, Unmeasured, run_title
from edgenet.profile.slowness import slower_than_float


def notes(profile: Profile) -> list[str]:
    """Everything that the numbers need said beside them, the most important first."""
    return [
        *_emulated(profile),
        *_unmeasured(profile),
        *_throttled(profile),
        *_competitors(profile),
        *_unexpected(profile),
        *slower_than_float(profile),
        *_energy(profile),
        *_conditions(profile),
    ]


def title(run: Run | Unmeasured) -> str:
    """What tells a run from the others of its profile."""
    return run_title(run.variant, run.threads)


def _emulated(profile: Profile) -> Iterator[str]:
    emulator = profile.machine.emulator
    if emulator is not None:
        yield (
            f"this machine is emulated ({emulator}): its timings mean nothing, neither for the"
            " board that it stands for nor against one another; measure on the board"
        )


def _unmeasured(profile: Profile) -> Iterator[str]:
    for missed in profile.unmeasured:
        yield f"{title(missed)} was not measured: {missed.reason}"
    for run in profile.runs:
        if run.operators_reason is not None:
            yield f"{title(run)} has no operator times: {run.operators_reason}"


def _throttled(profile: Profile) -> Iterator[str]:
    for run in profile.runs:
        if run.throttled:
            yield (
                f"{title(run)} ran while the board was slowed down ({', '.join(run.throttled)});"
                " its numbers are not what the board can do: cool it, check its power supply,"
                " measure again"
            )
    slow = profile.sustained
    if slow is not None and slow.throttled:
        yield (
            f"in the sustained run of {run_title(slow.variant, slow.threads)} the board was slowed"
            f" down ({', '.join(slow.throttled)}): that is what it keeps up, cooled and powered as"
            " it is"
        )


def _competitors(profile: Profile) -> Iterator[str]:
    if profile.competitors:
        yield (
            f"{', '.join(profile.competitors)} was running and competed for the CPU; measure again"
            " with --stop-service, which starts it again afterwards"
        )


def _unexpected(profile: Profile) -> Iterator[str]:
    for run, known in unexpected(profile):
        yield (
            f"{title(run)} takes {run.stats['invoke'].p50_ms:.2f} ms, which is unexpected: check"
            f" XNNPACK / threads / governor / throttling; on a {known.board} it should take"
            f" {known.low_ms:g} to {known.high_ms:g} ms ({known.published_ms:g} ms published:"
            f" {known.source})"
        )


def _energy(profile: Profile) -> Iterator[str]:
    if any(run.energy for run in profile.runs):
        yield (
            "energy is that of the rails that the board's power chip measures; it leaves out the"
            " chip's own losses, USB devices, fan and HATs on the 5 V rail, and the power supply's"
            " losses"
        )
    few = [title(run) for run in profile.runs if run.energy and run.energy.readings < 3]
    if few:
        yield (
            f"the energy of {'; '.join(few)} is from fewer than three readings of the power;"
            " sample for longer with --min-secs 10"
        )


def _conditions(profile: Profile) -> Iterator[str]:
    machine = profile.machine
    first = next((run.states[0] for run in profile.runs if run.states), None)
    if first is None:
        return
    if first.governor and first.governor != "performance":
        yield (
            f"the frequency governor is {first.governor}: clocks follow the load, and short runs"
            " look slower; for figures to compare: echo performance | sudo tee"
            " /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    if first.load is not None and first.load > machine.cores / 2:
        yield (
            f"other programs were running at the start (load {first.load:g} on {machine.cores}"
            " cores): percentiles are worse than on an idle machine"
        )
    if machine.quota is not None and machine.quota < machine.cores:
        yield (
            f"a container limits this process to {machine.quota:g} of {machine.cores} cores; when"
            " the limit is reached, runs stand still for milliseconds"
        )
    greedy = sorted({run.threads for run in profile.runs if run.threads > machine.cores})
    if greedy:
        yield (
            f"{', '.join(map(str, greedy))} threads on {machine.cores} cores wait for one another"
        )
