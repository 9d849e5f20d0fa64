"""A bundle on the Edge TPU, or on the CPU beside it where that is asked for."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np

from edgenet.bundle import Bundle
from edgenet.environment import usable_cores
from edgenet.errors import EngineError, MissingDevice, TargetError, UsageError, unknown
from edgenet.runner import Footprint, Frame, Runner
from edgenet.runtime import edgetpu
from edgenet.spec import Variant
from edgenet.stream.runner import InProcess
from edgenet.target import Target

COMPILED: Variant = "int8_edgetpu.tflite"
BACKENDS: dict[str, tuple[Variant, ...]] = {
    "edgetpu": (COMPILED,),
    "cpu": ("int8.tflite", "fp32.tflite"),
}


def runner(
    target: Target,
    bundle: Bundle,
    *,
    variant: Variant | None = None,
    threads: int | None = None,
    backend: str | None = None,
) -> Runner:
    """Open a bundle on the Edge TPU; on the CPU only where backend or variant ask for it.

    Args:
        target: this one.
        bundle: an opened bundle.
        variant: the compiled model, or one of those that a CPU runs.
        threads: of what runs on the CPU; every core that this process may use by default.
        backend: ``edgetpu`` or ``cpu``; by default what runs the variant.

    Raises:
        MissingDevice: libedgetpu is not installed.
        TargetError: the bundle holds no compiled model, or the target does not run the variant.
        UsageError: there is no such backend, or it does not run the variant.
    """
    if backend is not None and backend not in BACKENDS:
        raise UsageError(unknown("backend", backend, BACKENDS))
    if variant is not None and variant not in target.runnable:
        raise TargetError(f"{target.name} runs {', '.join(target.runnable)}, not {variant}")
    if backend and variant and variant not in BACKENDS[backend]:
        raise UsageError(f"the backend {backend} does not run {variant}; drop one of the two")
    threads = threads or usable_cores()
    variant = variant or BACKENDS[backend or "edgetpu"][0]
    if variant != COMPILED:
        on_cpu = InProcess(bundle, variant, threads=threads)
        on_cpu.notes = (f"{variant} runs on the CPU, as asked for; no Edge TPU takes part",)
        return on_cpu
    if COMPILED not in bundle.variants:
        raise TargetError(
            f"{bundle.root} holds no model compiled for the Edge TPU; edgenet check {bundle.root}"
            f" says how to compile it, edgenet bundle {bundle.root} --compiled FILE adds it, and"
            " --backend cpu runs what is there"
        )
    try:
        edgetpu.engine()
    except MissingDevice as error:
        raise MissingDevice(f"{error}; or run on the CPU, with --backend cpu") from error
    return OnEdgeTpu(bundle, threads=threads)


class OnEdgeTpu(InProcess):
    """The compiled model on the device.

    Args:
        bundle: an opened bundle that holds it.
        threads: of what is left to the CPU.
    """

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        super().__init__(bundle, COMPILED, threads=threads, backend=edgetpu.EdgeTpu())
        self.busy_cores = 1

    def prepare(self, workdir: Path) -> Footprint:
        """Load the model and send its weights to the device, with a first inference.

        Raises:
            EngineError: library and device do not run the model.
            MissingDevice: no Edge TPU is plugged in.
        """
        try:
            footprint = super().prepare(workdir)
        except (MissingDevice, EngineError) as error:
            raise type(error)(f"{error}; or run on the CPU, with --backend cpu") from error
        size = self.bundle.spec.preprocess
        grey = Frame(0, 0.0, np.full((size.height, size.width, 3), 128, np.uint8))
        start = perf_counter()
        next(self.run([grey]))
        first_ms = (perf_counter() - start) * 1e3
        self.notes = (
            *self.notes,
            f"first inference {first_ms:.1f} ms: it sent the weights; no frame waits for that",
        )
        return footprint
