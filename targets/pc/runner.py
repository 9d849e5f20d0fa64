"""A bundle on this computer, on whichever engine is installed."""

from __future__ import annotations

from edgenet.bundle import Bundle
from edgenet.runner import Runner
from edgenet.spec import Variant
from edgenet.stream.runner import InProcess
from edgenet.target import Target


def runner(
    target: Target,
    bundle: Bundle,
    *,
    variant: Variant | None = None,
    threads: int = 1,
    streams: int = 1,
) -> Runner:
    """Open a bundle, by default its first variant that an engine here can run, on one thread."""
    return InProcess(bundle, variant or target.choose(bundle), threads=threads, streams=streams)
