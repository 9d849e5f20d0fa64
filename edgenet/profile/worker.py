"""The fresh process that measures one variant, so that load time and peak memory are its own.

``python -m edgenet.profile.worker FILE`` reads a ``Request`` from standard input and writes an
``Answer`` to FILE, both as JSON.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from edgenet import image, runtime
from edgenet.bundle import Bundle
from edgenet.errors import EdgenetError, EngineError, MissingPackage
from edgenet.profile import memory
from edgenet.profile.record import Measurement, Memory, Operator, Settings
from edgenet.profile.sampling import resized, sample
from edgenet.profile.sustained import Timeline, sustain
from edgenet.runner import Frame
from edgenet.runtime import edgetpu, litert_profiler, onnx_profiler
from edgenet.spec import COMPILED_FROM, Variant
from edgenet.stream.classify import Classifier

Task = Literal["latency", "operators", "sustained"]


class Request(msgspec.Struct, frozen=True):
    """What to do, for as long as the settings say.

    ``latency`` takes samples, ``operators`` times each operator, ``sustained`` keeps the model
    busy.
    """

    task: Task
    bundle: str
    variant: Variant
    threads: int
    settings: Settings


class Answer(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        begun_s: when the samples began, on the clock that all processes share.
        measurement: of the task ``latency``.
        operators: of the task ``operators``.
        timeline: of the task ``sustained``.
        error: the sentence that says why there is neither.
        missing: whether that is for want of a package.
    """

    begun_s: float = 0.0
    measurement: Measurement | None = None
    operators: tuple[Operator, ...] | None = None
    timeline: Timeline | None = None
    error: str | None = None
    missing: bool = False


def answer(request: Request) -> Answer:
    """Do what is asked; what a user can cause becomes an ``error``."""
    try:
        if request.task == "operators":
            return Answer(operators=_operators(request))
        if request.task == "sustained":
            return _sustained(request)
        return _latency(request)
    except EdgenetError as error:
        return Answer(error=str(error), missing=isinstance(error, MissingPackage))


def _latency(request: Request) -> Answer:
    bundle = Bundle.open(Path(request.bundle), verify=False)
    frames = _frames(bundle, request.settings)
    image.fit(frames[0].rgb, bundle.spec.preprocess)  # loads the image library
    if request.variant in COMPILED_FROM:
        # a device is tried in another process first, which is no part of loading the model
        edgetpu.attempt(edgetpu.find(), bundle.model(request.variant))

    memory.reset_peak()
    before = memory.resident()
    start = time.perf_counter()
    _, version = runtime.engine(request.variant)
    imported = time.perf_counter()
    classifier = Classifier.open(bundle, request.variant, threads=request.threads)
    opened = time.perf_counter()
    loaded = memory.resident()
    timing = sample(classifier, frames, request.settings)
    peak = memory.peak()
    return Answer(
        begun_s=timing.begun_s,
        measurement=Measurement(
            engine=version.partition(" ")[0],
            engine_version=version.partition(" ")[2],
            import_ms=round((imported - start) * 1000, 6),
            init_ms=round((opened - imported) * 1000, 6),
            first_ms=timing.first_ms,
            warmup_avg_ms=timing.warmup_avg_ms,
            samples=timing.samples,
            started_s=timing.started_s,
            memory=_memory(before, loaded, peak),
            delegated=getattr(classifier.session, "delegated", None),
        ),
    )


def _sustained(request: Request) -> Answer:
    bundle, settings = Bundle.open(Path(request.bundle), verify=False), request.settings
    classifier = Classifier.open(bundle, request.variant, threads=request.threads)
    begun_s, timeline = sustain(
        classifier,
        _frames(bundle, settings),
        seconds=settings.sustained_secs or 0.0,
        warmup_runs=settings.warmup_runs,
    )
    return Answer(begun_s=begun_s, timeline=timeline)


def _frames(bundle: Bundle, settings: Settings) -> list[Frame]:
    """Pictures of a camera's size, made of the bundle's."""
    pictures = resized(bundle.golden().frames, settings.frame_height, settings.frame_width)
    return [Frame(index, 0.0, picture) for index, picture in enumerate(pictures)]


def _memory(before: int | None, loaded: int | None, peak: int | None) -> Memory | None:
    if before is None or loaded is None or peak is None:
        return None
    return Memory(before, loaded, peak)


def _operators(request: Request) -> tuple[Operator, ...]:
    if request.variant in COMPILED_FROM:
        raise EngineError("the Edge TPU runs what is compiled as one operator; none is timed apart")
    profiler = onnx_profiler if request.variant.endswith(".onnx") else litert_profiler
    settings = request.settings
    found = profiler.operator_times(
        Bundle.open(Path(request.bundle), verify=False).model(request.variant),
        threads=request.threads,
        runs=settings.num_runs,
        warmup_runs=settings.warmup_runs,
    )
    total = sum(ms for _, _, ms in found) or 1.0
    return tuple(
        Operator(index, kind, name, round(ms, 6), round(ms / total, 6))
        for index, (kind, name, ms) in enumerate(found)
    )


def main() -> None:
    """Answer one request."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(answer(request)))


if __name__ == "__main__":
    main()
