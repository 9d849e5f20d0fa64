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
from functools import partial
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
STREAMS = ((1, 1), (2, 1), (1, 2))
CLEARLY = 1.1
SCRIPTS = {"plain script": False, "plain script that averages": True}
"""Whether it averages pixels, as edgenet does, or looks at some of them."""

THREADS = (1, 2)
SIZE = (640, 480)
TOP_K = 3
PICTURES = 8
FASTER = 1.05

Key = tuple[str, int, int]
"""Of a contender: its kind, threads of the engine for a frame, frames at work at once."""


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
    """Gives stored pictures in turn at its rate, as a driver does that fills buffers by DMA.

    Its pictures are RGB, as picamera2 gives those of a Pi's camera, or YUYV, as a webcam sends
    them, which are converted as they are read.
    """

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

    def read(self, index: int, *, bgr: bool = False) -> Any:
        """A picture in RGB, or a webcam's in BGR, as cv2.VideoCapture gives it."""
        import cv2

        picture = self.pictures[index % len(self.pictures)]
        if picture.shape[2] == 3:
            return picture
        return cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_YUYV if bgr else cv2.COLOR_YUV2RGB_YUYV)

    def close(self) -> None:
        self.closed = True


def pictures() -> list[Any]:
    """What the camera sees: frames of the test card."""
    with closing(Fake(Mode(SIZE))) as fake:
        return [fake.picture(number) for number in range(PICTURES)]


def yuyv(rgb: Any) -> Any:
    """The picture as a webcam sends it."""
    import cv2

    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_YUYV)


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
        results = [result for bundle in bundles for result in compare(bundle, settings)]
    if options.json:
        words = ["scripts/bench_stream", *sys.argv[1 : sys.argv.index("--json")]]
        measured = {"command": shlex.join(words), "machine": machine, "state": state}
        record = msgspec.to_builtins(measured) | {"results": results}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(result["ok"] for result in results) else 1


def compare(bundle: Bundle, settings: Settings) -> list[dict[str, Any]]:
    """Frames a second of the loop, of bare invoke and of the plain script, by turns.

    The loop is held against bare invoke with a camera that gives RGB, and against the script with
    a webcam that both read.
    """
    seen = pictures()
    sent = [yuyv(picture) for picture in seen]
    snapshots: dict[Key, Snapshot] = {}
    contenders: dict[Key, Callable[[], float]] = {}
    bare: dict[int, float] = {}

    def loop_of(key: Key, runner: InProcess, shown: list[Any], fps: float) -> Callable[[], float]:
        def run() -> float:
            found, snapshots[key] = live_loop(bundle, runner, Camera(shown, fps), settings)
            return found

        return run

    for threads in THREADS:
        interpreter = open_interpreter(bundle, threads)
        contenders["invoke", threads, 1] = partial(bare_invoke, interpreter, settings)
        for script, averaging in SCRIPTS.items():
            contenders[script, threads, 1] = partial(
                plain_script, bundle, interpreter, Camera(sent, 0), settings, averaging=averaging
            )
        bare[threads] = bare_invoke(interpreter, settings)
    for threads, streams in STREAMS:
        runner = InProcess(bundle, "int8.tflite", threads=threads, streams=streams)
        runner.prepare(Path())
        fps = settings.camera_fps
        fps = FASTER * bare[threads * streams] if fps is None else fps
        for kind, shown in (("rgb", seen), ("webcam", sent)):
            key = kind, threads, streams
            contenders[key] = loop_of(key, runner, shown, fps)
    rates: dict[Key, list[float]] = {key: [] for key in contenders}
    for turn in range(settings.rounds + 1):
        for key, run in contenders.items():
            rate = run()
            if turn:  # the first is for caches
                rates[key].append(rate)
    return judge(bundle, rates, snapshots, fit_s(bundle, seen, settings))


def fit_s(bundle: Bundle, seen: list[Any], settings: Settings) -> float:
    """Seconds that fitting a frame takes one core, whose caches hold the model's weights."""
    memory = image.Memory()
    interpreter = open_interpreter(bundle, 1)
    taken = []
    begin = time.perf_counter()
    for picture in itertools.cycle(seen):
        interpreter.invoke()
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
    rates: dict[Key, list[float]],
    snapshots: dict[Key, Snapshot],
    fit: float,
) -> list[dict[str, Any]]:
    """Ratios of rounds, their median told with the least and the greatest."""
    fps = {key: statistics.median(found) for key, found in rates.items()}
    name = f"{bundle.manifest.name} int8"
    shared = {
        "bundle": bundle.manifest.name,
        "frame_size": list(SIZE),
        "rounds": len(rates["invoke", 1, 1]),
        "fps": {used(*key): value for key, value in fps.items()},
        "stage_ms": {used(*key): dict(found.stage_ms) for key, found in snapshots.items()},
    }
    print(f"{name}, medians of {shared['rounds']} rounds:")
    for key, value in fps.items():
        stages = dict(snapshots[key].stage_ms) if key in snapshots else {}
        words = ", ".join(f"{stage} {ms:.3f}" for stage, ms in stages.items())
        print(f"  {used(*key):20} {value:8.1f} /s  {words}".rstrip())
    results = []

    def tell(what: str, mine: Key, theirs: Key, least: float | None, more: str = "") -> None:
        found = [a / b for a, b in zip(rates[mine], rates[theirs], strict=True)]
        ratio = statistics.median(found)
        result = {
            "what": f"{what}, frames/s, {name}",
            "measured": f"{ratio:.3f} ({min(found):.3f} to {max(found):.3f})",
            "demanded": ("none; reported" if least is None else f"at least {least}") + more,
            "ok": least is None or ratio >= least,
            "ratio": ratio,
            **shared,
        }
        print(f"  {what}: {result['measured']}, {result['demanded']}: {verdict(result)}")
        results.append(result)

    side = bundle.spec.preprocess.height
    for threads, streams in STREAMS:
        cores = threads * streams
        most = at_most(fps["invoke", cores, 1], cores, fit)
        # a frame at a time on every core leaves none for the camera; streams are what is for that
        aimed = side >= AIM_SIDE and (usable_cores() > threads or streams > 1)
        tell(
            f"the whole loop, RGB camera, {used('', threads, streams)}, over bare invoke",
            ("rgb", threads, streams),
            ("invoke", cores, 1),
            AIM if aimed else None,
            f" (the cores allow {most:.3f})",
        )
    for script, averaging in SCRIPTS.items():
        least = CLEARLY if averaging else 1
        one = f"the whole loop, webcam, 1 thread, over a {script}"
        tell(one, ("webcam", 1, 1), (script, 1, 1), least)
        mine, theirs = fastest(fps, "webcam"), fastest(fps, script)
        tell(
            f"the whole loop, webcam, 2 cores, each as it is fastest ({used('', *mine[1:])}),"
            f" over a {script} ({used('', *theirs[1:])})",
            mine,
            theirs,
            least,
        )
    return results


def fastest(fps: dict[Key, float], kind: str) -> Key:
    """Of the contenders of one kind."""
    return max((key for key in fps if key[0] == kind), key=fps.__getitem__)


def used(kind: str, threads: int, streams: int) -> str:
    """The kind of a contender and what it uses, in words."""
    words = f"{streams} streams" if streams > 1 else f"{threads} thread{'s' * (threads > 1)}"
    return f"{kind}, {words}" if kind else words


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


def plain_script(
    bundle: Bundle, interpreter: Any, camera: Camera, settings: Settings, *, averaging: bool
) -> float:
    """What the examples of the field do with a webcam's frame, which never lets them wait.

    They look at some of its pixels; one that averages all, as edgenet does, uses INTER_AREA.
    """
    import cv2

    input_detail = interpreter.get_input_details()[0]
    output_detail = interpreter.get_output_details()[0]
    _, height, width, _ = input_detail["shape"]
    in_scale, in_zero = input_detail["quantization"]
    out_scale, out_zero = output_detail["quantization"]
    labels = bundle.labels
    interpolation = cv2.INTER_AREA if averaging else cv2.INTER_LINEAR
    with Path(os.devnull).open("w") as screen:
        begin = time.perf_counter()
        for count in itertools.count(1):
            picture = cv2.cvtColor(camera.read(count, bgr=True), cv2.COLOR_BGR2RGB)
            resized = cv2.resize(picture, (width, height), interpolation=interpolation)
            pixels = np.expand_dims(resized.astype(np.float32) / 255.0, axis=0)
            quantized = np.round(pixels / in_scale + in_zero).astype(input_detail["dtype"])
            interpreter.set_tensor(input_detail["index"], quantized)
            interpreter.invoke()
            output = interpreter.get_tensor(output_detail["index"])[0]
            scores = (output.astype(np.float32) - out_zero) * out_scale
            best = np.argsort(scores)[::-1][:TOP_K]
            print([(labels[i], float(scores[i])) for i in best], file=screen, flush=True)
            if (now := time.perf_counter()) - begin >= settings.seconds:
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
