"""The sustained run: the board cooled down first, then one model without a pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from edgenet.bundle import Bundle
from edgenet.environment import Probe, Recorder, State, throttling
from edgenet.profile.process import NO_REASON, ask, since
from edgenet.profile.record import Run, Settings, Unmeasured, run_title
from edgenet.profile.sustained import Sustained
from edgenet.profile.worker import Request
from edgenet.spec import Variant

# A burst is of a cool board: within 2 degrees of what it was, or after three minutes' wait.
_CLOSE_C = 2.0
_COOLING_S = 180.0


def endure(
    bundle: Bundle,
    run: Run,
    settings: Settings,
    *,
    probe: Probe,
    cold_c: float | None,
    progress: Callable[[str, int, int], None],
) -> Sustained | Unmeasured:
    """Repeat a run for ``settings.sustained_secs``.

    Args:
        bundle: opened.
        run: what to repeat: its variant and threads.
        settings: how long, and on what.
        probe: reads the machine.
        cold_c: the temperature that counts as cool; None to wait for nothing.
        progress: told the seconds that have passed.
    """
    title = run_title(run.variant, run.threads)
    cooled_s = cool_down(probe, cold_c, progress=progress)
    whole = max(1, round(settings.sustained_secs or 0))
    what, begun = f"repeating {title}, seconds", time.monotonic()

    def tell(state: State) -> None:
        # the last step is told when it is over, not when it is due
        progress(what, min(whole - 1, round(time.monotonic() - begun)), whole)

    progress(what, 0, whole)
    variant = cast("Variant", run.variant)
    request = Request("sustained", str(bundle.root.resolve()), variant, run.threads, settings)
    with Recorder(probe, on_state=tell) as recorder:
        answer = ask(request)
    progress(what, whole, whole)
    if answer.timeline is None:
        reason = answer.error or NO_REASON
        return Unmeasured(run.variant, run.threads, f"sustained: {reason}", answer.missing)
    states = since(recorder.states, answer.begun_s)
    return Sustained(
        variant=run.variant,
        threads=run.threads,
        timeline=answer.timeline,
        states=states,
        throttled=throttling(states),
        cooled_s=cooled_s,
    )


def cool_down(
    probe: Probe,
    cold_c: float | None,
    *,
    progress: Callable[[str, int, int], None],
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait until the board is about as cool as it was, at most three minutes.

    Returns:
        Seconds waited; 0 where there is no thermometer.
    """
    waited = 0.0
    while waited < _COOLING_S:
        celsius = probe.whole_state().temperature_c
        if cold_c is None or celsius is None or celsius <= cold_c + _CLOSE_C:
            break
        if not waited:
            progress("letting the board cool down", 0, 1)
        sleep(1.0)
        waited += 1.0
    if waited:
        progress("letting the board cool down", 1, 1)
    return waited
