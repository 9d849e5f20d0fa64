"""A bundle on an Arm CPU, on LiteRT or ONNX Runtime, whichever is the faster there."""

from __future__ import annotations

from pathlib import Path

from edgenet import runtime
from edgenet.bundle import Bundle
from edgenet.errors import EdgenetError, TargetError, UsageError, unknown
from edgenet.runner import Footprint, Runner
from edgenet.spec import Variant
from edgenet.stream.runner import InProcess, share
from edgenet.target import Target

from .fastest import Fastest, fastest

BACKENDS = {"auto": (".tflite", ".onnx"), "litert": (".tflite",), "onnx": (".onnx",)}


def runner(
    target: Target,
    bundle: Bundle,
    *,
    variant: Variant | None = None,
    threads: int | None = None,
    streams: int = 1,
    backend: str = "auto",
) -> Runner:
    """Open a bundle on every core that this process may use.

    Args:
        target: this one.
        bundle: an opened bundle.
        variant: the model to run; by default the int8 one of the backend, else the float one.
        threads: that the engine may use for a frame.
        streams: frames at work at once.
        backend: ``litert``, ``onnx``, or ``auto``: both are measured when the bundle runs on this
            machine for the first time, and the faster one is remembered.

    Raises:
        TargetError: the bundle holds no model for the backend.
        UsageError: there is no such backend, or it does not run the variant.
    """
    if backend not in BACKENDS:
        raise UsageError(unknown("backend", backend, BACKENDS))
    threads = threads or share(streams)
    if variant is not None:
        if not variant.endswith(BACKENDS[backend]):
            raise UsageError(f"the backend {backend} does not run {variant}; drop one of the two")
        if variant not in target.runnable:
            raise TargetError(f"{target.name} runs {', '.join(target.runnable)}, not {variant}")
        return InProcess(bundle, variant, threads=threads, streams=streams)
    found = candidates(target, bundle, backend)
    if len(found) == 1:
        return InProcess(bundle, found[0], threads=threads, streams=streams)
    return OnFastest(bundle, found, threads=threads, streams=streams)


def candidates(target: Target, bundle: Bundle, backend: str) -> list[Variant]:
    """The bundle's models of the best precision that the backend runs here, LiteRT's first.

    Raises:
        TargetError: there is none.
        EngineError, MissingPackage: no engine for any of them works here.
    """
    held = [v for v in target.runnable if v in bundle.variants and v.endswith(BACKENDS[backend])]
    if not held:
        raise TargetError(
            f"{bundle.root} holds {', '.join(bundle.variants)}, none of which the backend"
            f" {backend} runs; run: edgenet export --target {target.name}"
        )
    reasons: list[EdgenetError] = []
    working: list[Variant] = []
    for variant in held:
        try:
            runtime.check(variant)
        except EdgenetError as error:
            reasons.append(error)
        else:
            working.append(variant)
    if not working:
        raise reasons[0]
    precision = working[0].partition(".")[0]
    return [variant for variant in working if variant.startswith(precision)]


class OnFastest(InProcess):
    """A bundle on the faster of several models that answer the same.

    Args:
        bundle: an opened bundle.
        found: the models to choose from.
        threads: that the engine may use for a frame.
        streams: frames at work at once.
    """

    def __init__(self, bundle: Bundle, found: list[Variant], *, threads: int, streams: int) -> None:
        super().__init__(bundle, found[0], threads=threads, streams=streams)
        self._found = found

    def prepare(self, workdir: Path) -> Footprint:
        """Measure the models, or recall what was measured, and load the faster one.

        Raises:
            EngineError: an engine cannot run its model.
        """
        chosen = fastest(self.bundle, self._found, threads=self.threads)
        self.variant = chosen.variant
        self.notes = (*self.notes, _note(chosen))
        return super().prepare(workdir)


def _note(chosen: Fastest) -> str:
    times = ", ".join(f"{variant} {ms:.2f} ms" for variant, ms in sorted(chosen.ms.items()))
    when = "as measured before" if chosen.recalled else "as measured now"
    return f"{chosen.variant} is the fastest here, {when}: {times}; --backend chooses otherwise"
