"""The machine that a number was measured on: what it is, and the state it was in meanwhile.

``Probe().machine()`` reads what stays (board, CPU, packages), ``Probe().state()`` what moves
(frequency, temperature, throttling, load), and ``Recorder`` keeps the states of a run.  Whatever a
machine does not tell is None; nothing here raises for it.
"""

from edgenet.environment.probe import Probe, architecture, usable_cores, version
from edgenet.environment.record import Machine, State
from edgenet.environment.recorder import Recorder
from edgenet.environment.throttling import THROTTLE_BITS, Episode, episodes, throttling

__all__ = [
    "THROTTLE_BITS",
    "Episode",
    "Machine",
    "Probe",
    "Recorder",
    "State",
    "architecture",
    "episodes",
    "throttling",
    "usable_cores",
    "version",
]
