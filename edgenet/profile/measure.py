"""Profiling a bundle: every variant at every thread count, each in a fresh process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec

from edgenet import __version__
from edgenet.bundle import Bundle
from edgenet.environment import Probe, Recorder, State, throttling
from edgenet.profile.record import SCHEMA, Profile, Run, Settings, Unmeasured, run_title
from edgenet.profile.statistics import summarize
from edgenet.profile.worker import Answer, Request
from edgenet.spec import Variant

# A process that neither answers nor ends has this long, in seconds, beyond its sampling time.
_GRACE_S = 600


def measure(  # noqa: PLR0913  (what to measure, how, and whom to tell)
    bundle: Bundle,
    *,
    variants: Sequence[Variant],
    threads: Sequence[int],
    settings: Settings,
    command: str,
    probe: Probe | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
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
        progress: told what is measured, and how much of it is done: 0 of 1, then 1 of 1.
    """
    probe = probe or Probe()
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    machine = probe.machine()
    found = []
    for variant in variants:
        for count in threads:
            what = f"measuring {run_title(variant, count)}"
            progress(what, 0, 1)
            found.append(_run(bundle, variant, count, settings, probe))
            progress(what, 1, 1)
    spec = bundle.spec
    return Profile(
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
    )


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
    def ask(task: Literal["latency", "operators"]) -> Answer:
        return _ask(Request(task, str(bundle.root.resolve()), variant, threads, settings))

    with Recorder(probe) as recorder:
        latency = ask("latency")
    if latency.measurement is None:
        return Unmeasured(variant, threads, latency.error or "it gave no reason", latency.missing)
    operators = ask("operators") if settings.op_profile else Answer()
    return Run(
        variant=variant,
        threads=threads,
        model_bytes=bundle.record(variant).size,
        measured=latency.measurement,
        stats={stage: summarize(times) for stage, times in latency.measurement.samples.items()},
        states=tuple(_since(state, latency.begun_s) for state in recorder.states),
        throttled=throttling(recorder.states),
        operators=operators.operators,
        operators_reason=operators.error,
    )


def _since(state: State, begun_s: float) -> State:
    return msgspec.structs.replace(state, at_s=round(state.at_s - begun_s, 3))


def _ask(request: Request) -> Answer:
    """Have a fresh process answer; its death becomes the answer's error."""
    # The same import path as here, and not the current folder, whose files could hide a module.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with TemporaryDirectory(prefix="edgenet-") as folder:
        file = Path(folder, "answer.json")
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "edgenet.profile.worker", str(file)],
                input=msgspec.json.encode(request),
                capture_output=True,
                env=environment,
                timeout=request.settings.max_secs + _GRACE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return Answer(error=f"the measuring process was stopped after {error.timeout:.0f} s")
        if done.returncode == 0:
            return msgspec.json.decode(file.read_bytes(), type=Answer)
        return Answer(error=_death(done.returncode, done.stderr.decode("utf-8", "replace")))


def _death(returncode: int, stderr: str) -> str:
    """Why a process ended without an answer."""
    if returncode > 0:
        lines = stderr.strip().splitlines()
        return f"the measuring process failed: {lines[-1] if lines else f'status {returncode}'}"
    name = signal.Signals(-returncode).name
    hint = {
        "SIGILL": "; the engine was built for instructions that this CPU lacks",
        "SIGKILL": "; most likely the machine ran out of memory",
    }
    return f"the measuring process died of {name}{hint.get(name, '')}"
