"""The measurements of scripts/bench_stream, whose header says what they are."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from bench import NETWORKS, export, verdict

from edgenet import image
from edgenet.bundle import Bundle
from edgenet.environment import Probe, usable_cores
from edgenet.runner import Frame
from edgenet.runtime import litert
from edgenet.stream import loop
from edgenet.stream.ahead import Ahead
from edgenet.stream.decide import Decide
from edgenet.stream.fake import Fake
from edgenet.stream.grabber import Grabber
from edgenet.stream.mode import Mode
from edgenet.stream.result import Result
from edgenet.stream.runner import InProcess
from edgenet.stream.sinks.json import JsonLines
from edgenet.stream.sinks.lines import File
from edgenet.stream.statistics import Snapshot, Statistics
from edgenet.stream.stop import Stop

AIM = 0.90
AIM_SIDE = 224
THREADS = (1, 2)
SIZE = (640, 480)
TOP_K = 3
PICTURES = 8
FASTER = 1.05


@dataclass(frozen=True)
class Settings:
    """How long each contender runs in a turn, how often, and the camera's rate in frames/s.

    The rate is 0 for as fast as it can, None for a little faster than the bare model.
    """

    seconds: float
    rounds: int
    camera_fps: float | None
    ahead: bool


class Camera:
    """Gives stored pictures in turn at its rate, as a driver does that fills buffers by DMA."""

    live = True

    def __init__(self, pictures: list[Any], fps: float) -> None:
        self.pictures = pictures
        self.interval_s = 1 / fps if fps else 0.0
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        begin = time.monotonic()
        for index in itertools.count():
            due = begin + index * self.interval_s
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            elif self.interval_s:
                begin -= early  # a camera that is late does not hurry
            if self.closed:
                return
            yield Frame(index, time.monotonic() * 1e3, self.read(index), "camera")

    def read(self, index: int) -> Any:
        return self.pictures[index % len(self.pictures)]

    def close(self) -> None:
        self.closed = True


def pictures() -> list[Any]:
    """What the camera sees: frames of the test card."""
    with closing(Fake(Mode(SIZE))) as fake:
        return [fake.picture(number) for number in range(PICTURES)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_stream", description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--camera-fps", type=float)
    parser.add_argument("--no-ahead", action="store_true", help="the loop's thread fits frames")
    parser.add_argument("--profile", action="store_true", help="where a frame's time goes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    options = parser.parse_args()
    settings = Settings(
        options.seconds, options.rounds, options.camera_fps, ahead=not options.no_ahead
    )
    machine, state = Probe().machine(), Probe().state()
    print(
        f"{machine.cpu}, {machine.cores} cores, {machine.os}; {litert.engine()[1]};"
        f" load {state.load}, governor {state.governor or 'not known'}"
    )
    print(f"command: scripts/bench_stream {shlex.join(sys.argv[1:])}".rstrip())
    with TemporaryDirectory(prefix="edgenet-bench-") as folder:
        paths = options.bundles or [export(Path(folder), *one) for one in NETWORKS]
        bundles = [Bundle.open(path) for path in paths]
        if options.profile:
            for bundle in bundles:
                profile(bundle, settings)
            return 0
        results = [
            result
            for bundle in bundles
            for threads in THREADS
            for result in compare(bundle, threads, settings)
        ]
    if options.json:
        words = ["scripts/bench_stream", *sys.argv[1 : sys.argv.index("--json")]]
        measured = {"command": shlex.join(words), "machine": machine, "state": state}
        record = msgspec.to_builtins(measured) | {"results": results}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(result["ok"] for result in results) else 1


def compare(bundle: Bundle, threads: int, settings: Settings) -> list[dict[str, Any]]:
    """Frames a second of the loop, of bare invoke and of the plain script, by turns."""
    interpreter = open_interpreter(bundle, threads)
    seen = pictures()
    warm = bare_invoke(interpreter, settings)
    camera_fps = FASTER * warm if settings.camera_fps is None else settings.camera_fps
    runner = InProcess(bundle, "int8.tflite", threads=threads)
    runner.prepare(Path())
    last: list[Snapshot] = []

    def edgenet() -> float:
        camera = Camera(seen, camera_fps)
        fps, snapshot = live_loop(bundle, runner, camera, settings)
        last.append(snapshot)
        return fps

    contenders: dict[str, Callable[[], float]] = {
        "invoke": lambda: bare_invoke(interpreter, settings),
        "edgenet": edgenet,
        "plain": lambda: plain_script(bundle, interpreter, Camera(seen, 0), settings.seconds),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(settings.rounds + 1):
        for name, run in contenders.items():
            rate = run()
            if turn:  # the first is for caches
                rates[name].append(rate)
    runner.close()
    most = at_most(statistics.median(rates["invoke"]), threads, fit_s(bundle, seen, settings))
    return judge(bundle, threads, rates, last[-1], camera_fps, most)


def fit_s(bundle: Bundle, seen: list[Any], settings: Settings) -> float:
    """Seconds that fitting a frame takes one core."""
    memory = image.Memory()
    taken = []
    begin = time.perf_counter()
    for picture in itertools.cycle(seen):
        start = time.perf_counter()
        image.fit(picture, bundle.spec.preprocess, memory=memory)
        now = time.perf_counter()
        taken.append(now - start)
        if now - begin >= settings.seconds / 2:
            break
    return statistics.median(taken)


def at_most(invokes: float, threads: int, fit: float) -> float:
    """The share of bare invoke that a loop can reach whose cores are never idle.

    A frame costs the engine threads / invokes core seconds and one core ``fit`` seconds. Where the
    engine leaves a core, frames are fitted there meanwhile, and the share is 1.
    """
    if usable_cores() > threads:
        return min(1.0, 1 / (fit * invokes))
    engine = threads / invokes
    return engine / (engine + fit)


def judge(
    bundle: Bundle,
    threads: int,
    rates: dict[str, list[float]],
    last: Snapshot,
    camera_fps: float,
    most: float,
) -> list[dict[str, Any]]:
    """Ratios of rounds, their median told with the least and the greatest."""
    fps = {name: statistics.median(found) for name, found in rates.items()}
    of_invoke = ratios(rates["edgenet"], rates["invoke"])
    of_plain = ratios(rates["edgenet"], rates["plain"])
    demanded = AIM if bundle.spec.preprocess.height >= AIM_SIDE else None
    name = f"{bundle.manifest.name} int8, {threads} thread{'s' if threads > 1 else ''}"
    shared = {
        "bundle": bundle.manifest.name,
        "threads": threads,
        "frame_size": list(SIZE),
        "camera_fps": camera_fps or "as fast as it can",
        "at_most": most,
        "rounds": len(rates["invoke"]),
        "fps": fps,
        "stage_ms": dict(last.stage_ms),
        "dropped": last.dropped,
    }
    results = [
        {
            "what": f"the whole loop over bare invoke, frames/s, {name}",
            "measured": told(of_invoke),
            "demanded": (f"at least {demanded}" if demanded else "none; reported")
            + f" (this machine's cores allow {most:.3f})",
            "ok": demanded is None or statistics.median(of_invoke) >= demanded,
            "ratio": statistics.median(of_invoke),
            **shared,
        },
        {
            "what": f"the whole loop over a plain script, frames/s, {name}",
            "measured": told(of_plain),
            "demanded": "above 1",
            "ok": statistics.median(of_plain) > 1,
            "ratio": statistics.median(of_plain),
            **shared,
        },
    ]
    stages = ", ".join(f"{stage} {ms:.3f}" for stage, ms in last.stage_ms.items())
    print(
        f"{name}, medians of {len(rates['invoke'])} rounds:\n"
        f"  bare invoke   {fps['invoke']:8.1f} /s\n"
        f"  whole loop    {fps['edgenet']:8.1f} /s  {told(of_invoke)} of it,"
        f" {results[0]['demanded']}: {verdict(results[0])}\n"
        f"  plain script  {fps['plain']:8.1f} /s  the loop is {told(of_plain)} of it,"
        f" {results[1]['demanded']}: {verdict(results[1])}\n"
        f"  in the loop, ms: {stages}"
    )
    return results


def ratios(mine: list[float], theirs: list[float]) -> list[float]:
    return [a / b for a, b in zip(mine, theirs, strict=True)]


def told(found: list[float]) -> str:
    return f"{statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"


def open_interpreter(bundle: Bundle, threads: int) -> Any:
    module, _ = litert.engine()
    path = str(bundle.model("int8.tflite"))
    interpreter = module.Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def bare_invoke(interpreter: Any, settings: Settings) -> float:
    """Invokes a second in a tight loop, on an input that stays."""
    count, begin = 0, time.perf_counter()
    while (now := time.perf_counter()) - begin < settings.seconds:
        interpreter.invoke()
        count += 1
    return count / (now - begin)


class Clocked:
    """A sink that keeps when the first and the last result came."""

    def __init__(self) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0

    def publish(self, result: Result, frame: Frame) -> None:
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.count += 1

    def close(self) -> None:
        pass


def live_loop(
    bundle: Bundle, runner: InProcess, camera: Camera, settings: Settings
) -> tuple[float, Snapshot]:
    """Results a second of what ``edgenet run --source ... --json`` runs."""
    found, clocked = Statistics(), Clocked()
    ahead = settings.ahead and usable_cores() > runner.busy_cores
    source = Ahead(camera, bundle.spec.preprocess) if ahead else camera
    with (
        closing(JsonLines(File(Path(os.devnull)))) as sink,
        closing(Grabber(lambda: source, on_event=print)) as grabber,
        Stop(duration_s=settings.seconds) as stop,
    ):
        decide = Decide(bundle.labels, top_k=TOP_K)
        loop.run(grabber, runner.run, decide, [sink, clocked], statistics=found, stop=stop)
    return (clocked.count - 1) / (clocked.last - clocked.first), found.snapshot()


def plain_script(bundle: Bundle, interpreter: Any, camera: Camera, seconds: float) -> float:
    """What the examples of the field do with a frame: LiteRT's, OpenCV's, picamera2's.

    The camera never lets it wait, and its colours are taken to be right already, which spares it
    the cvtColor of those examples.
    """
    import cv2

    input_detail = interpreter.get_input_details()[0]
    output_detail = interpreter.get_output_details()[0]
    _, height, width, _ = input_detail["shape"]
    in_scale, in_zero = input_detail["quantization"]
    out_scale, out_zero = output_detail["quantization"]
    labels = bundle.labels
    with Path(os.devnull).open("w") as screen:
        begin = time.perf_counter()
        for count in itertools.count(1):
            picture = camera.read(count)
            resized = cv2.resize(picture, (width, height))
            pixels = np.expand_dims(resized.astype(np.float32) / 255.0, axis=0)
            quantized = np.round(pixels / in_scale + in_zero).astype(input_detail["dtype"])
            interpreter.set_tensor(input_detail["index"], quantized)
            interpreter.invoke()
            output = interpreter.get_tensor(output_detail["index"])[0]
            scores = (output.astype(np.float32) - out_zero) * out_scale
            best = np.argsort(scores)[::-1][:TOP_K]
            print([(labels[i], float(scores[i])) for i in best], file=screen, flush=True)
            if (now := time.perf_counter()) - begin >= seconds:
                break
    return count / (now - begin)


def profile(bundle: Bundle, settings: Settings) -> None:
    """The functions that the loop's thread spends its time in."""
    import cProfile
    import pstats

    runner = InProcess(bundle, "int8.tflite")
    runner.prepare(Path())
    profiler = cProfile.Profile()
    profiler.enable()
    camera = Camera(pictures(), settings.camera_fps or 0)
    fps, snapshot = live_loop(bundle, runner, camera, settings)
    profiler.disable()
    print(f"{bundle.manifest.name}: {fps:.1f} frames/s under the profiler")
    print(", ".join(f"{stage} {ms:.3f} ms" for stage, ms in snapshot.stage_ms.items()))
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    sys.exit(main())
