"""What an inference costs in energy, where the board measures its power."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgenet.environment import State


class Energy(msgspec.Struct, frozen=True):
    """Power of the rails that a Raspberry Pi 5's power chip (PMIC) measures.

    It leaves out what the chip does not see: its own conversion losses, the 5 V rail with what
    hangs on it (USB devices, fan, HATs), and the power supply's losses.

    Attributes:
        watts: mean while samples were taken, the idle board's part included.
        idle_watts: before the measuring process began; None if it was not read then.
        mj_per_frame: ``watts`` times the mean time of a frame, in millijoules.
        readings: of the power, that ``watts`` is the mean of.
    """

    watts: float
    idle_watts: float | None
    mj_per_frame: float
    readings: int


def energy(
    states: Sequence[State], started_s: Sequence[float], total_ms: Sequence[float]
) -> Energy | None:
    """The energy of a frame; None where no power was read while samples were taken.

    Args:
        states: with ``at_s`` since the first sample began; the first from before the measurement.
        started_s: when each sample began, since the first did.
        total_ms: how long each took.
    """
    end_s = started_s[-1] + total_ms[-1] / 1000
    read = [state.watts for state in states if state.watts is not None and 0 <= state.at_s <= end_s]
    if not read:
        return None
    watts = float(np.mean(read))
    return Energy(
        watts=round(watts, 4),
        idle_watts=states[0].watts if states[0].at_s < 0 else None,
        mj_per_frame=round(watts * float(np.mean(total_ms)), 4),
        readings=len(read),
    )
