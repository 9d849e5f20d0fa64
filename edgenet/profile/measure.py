"""Profiling a bundle: every variant at every thread count, each in a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from edgenet import __version__
from edgenet.bundle import Bundle
from edgenet.environment import Probe, Recorder, throttling
from edgenet.profile.enduring import endure
from edgenet.profile.energy import energy
from edgenet.profile.process import NO_REASON, ask, since
from edgenet.profile.recommend import recommended
from edgenet.profile.record import SCHEMA, Profile, Run, Settings, Unmeasured, run_title
from edgenet.profile.statistics import summarize
from edgenet.profile.worker import Answer, Request, Task
from edgenet.spec import Variant

Progress = Callable[[str, int, int], None]


def measure(  # noqa: PLR0913  (what to measure, how, and whom to tell)
    bundle: Bundle,
    *,
    variants: Sequence[Variant],
    threads: Sequence[int],
    settings: Settings,
    command: str,
    probe: Probe | None = None,
    competitors: Sequence[str] = (),
    progress: Progress = lambda what, done, total: None,
) -> Profile:
    """Measure a bundle on this machine.

    A variant that cannot be measured here does not stop the others: its run says why.

    Args:
        bundle: opened, its files checked.
        variants: of the bundle.
        threads: thread counts to measure each variant at.
        settings: how long, and on what.
        command: what was typed, for the record.
        probe: reads the machine; this one's by default.
        competitors: services that run meanwhile.
        progress: told what is measured, and how much of it is done: 0 of 1, then 1 of 1.
    """
    probe = probe or Probe()
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    machine, cold_c = probe.machine(), probe.whole_state().temperature_c
    found = []
    for variant in variants:
        for count in threads:
            what = f"measuring {run_title(variant, count)}"
            progress(what, 0, 1)
            found.append(_run(bundle, variant, count, settings, probe))
            progress(what, 1, 1)
    spec = bundle.spec
    profile = Profile(
        kind="profile",
        schema=SCHEMA,
        edgenet=__version__,
        bundle=bundle.manifest.name,
        target=bundle.manifest.target,
        bundle_sha256=bundle.sha256,
        arch=spec.arch,
        alpha=spec.alpha,
        height=spec.preprocess.height,
        width=spec.preprocess.width,
        measured_at=measured_at,
        command=command,
        settings=settings,
        machine=machine,
        runs=tuple(one for one in found if isinstance(one, Run)),
        unmeasured=tuple(one for one in found if isinstance(one, Unmeasured)),
        competitors=tuple(competitors),
        classes=len(spec.labels),
    )
    best = recommended(profile)
    if settings.sustained_secs is None or best is None:
        return profile
    lasting = endure(bundle, best, settings, probe=probe, cold_c=cold_c, progress=progress)
    if isinstance(lasting, Unmeasured):
        return msgspec.structs.replace(profile, unmeasured=(*profile.unmeasured, lasting))
    return msgspec.structs.replace(profile, sustained=lasting)


def sweep(cores: int) -> tuple[int, ...]:
    """Thread counts worth comparing: powers of two below ``cores``, and ``cores``.

    >>> sweep(1), sweep(4), sweep(6)
    ((1,), (1, 2, 4), (1, 2, 4, 6))
    """
    powers = {1 << bit for bit in range(cores.bit_length()) if 1 << bit <= cores}
    return tuple(sorted({*powers, max(1, cores)}))


def _run(
    bundle: Bundle, variant: Variant, threads: int, settings: Settings, probe: Probe
) -> Run | Unmeasured:
    def request(task: Task) -> Answer:
        return ask(Request(task, str(bundle.root.resolve()), variant, threads, settings))

    with Recorder(probe) as recorder:
        latency = request("latency")
    measured = latency.measurement
    if measured is None:
        return Unmeasured(variant, threads, latency.error or NO_REASON, latency.missing)
    operators = request("operators") if settings.op_profile else Answer()
    states = since(recorder.states, latency.begun_s)
    return Run(
        variant=variant,
        threads=threads,
        model_bytes=bundle.record(variant).size,
        measured=measured,
        stats={stage: summarize(times) for stage, times in measured.samples.items()},
        states=states,
        throttled=throttling(states),
        operators=operators.operators,
        operators_reason=operators.error,
        model_sha256=bundle.record(variant).sha256,
        energy=energy(states, measured.started_s, measured.samples["total"]),
    )
