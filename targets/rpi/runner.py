"""A bundle on a Raspberry Pi, on LiteRT."""

from __future__ import annotations

from edgenet.bundle import Bundle
from edgenet.errors import TargetError
from edgenet.runner import Runner
from edgenet.spec import Variant
from edgenet.stream.runner import InProcess, share
from edgenet.target import Target


def runner(
    target: Target,
    bundle: Bundle,
    *,
    variant: Variant | None = None,
    threads: int | None = None,
    streams: int = 1,
) -> Runner:
    """Open a bundle, by default its int8 model, on every core that this process may use.

    Raises:
        TargetError: the variant is not one that runs on LiteRT.
    """
    variant = variant or target.choose(bundle)
    if variant not in target.runnable:
        raise TargetError(f"{target.name} runs {', '.join(target.runnable)}, not {variant}")
    return InProcess(bundle, variant, threads=threads or share(streams), streams=streams)
