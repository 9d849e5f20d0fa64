"""The measurements of scripts/bench, whose header says what they are."""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from edgenet.bundle import Bundle
from edgenet.environment import Probe
from edgenet.profile.sampling import resized
from edgenet.runner import Frame
from edgenet.runtime import litert
from edgenet.spec import EXPORTED, Variant
from edgenet.stream.classify import Classifier

OVERHEAD = 0.03
STARTUP_S = 0.3
EXPORT_S = 60.0
# Width multiplier, input side and classes: the shipped model's, and the paper's.
NETWORKS = ((0.5, 128, 10), (1.0, 224, 1000))
FRAME = (480, 640)
MIN_TURNS, MIN_S = 200, 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--cli", action="store_true", help="measure the start of edgenet --help")
    parser.add_argument("--formats", action="store_true", help="int8 against fp32 on each engine")
    parser.add_argument("--export", metavar="DATA", help="time an export, calibrated on DATA")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    options = parser.parse_args()
    machine, state = Probe().machine(), Probe().state()
    print(
        f"{machine.cpu}, {machine.cores} cores, {machine.os}; {litert.engine()[1]};"
        f" load {state.load}, governor {state.governor or 'not known'}"
    )
    print(f"command: scripts/bench {shlex.join(sys.argv[1:])}".rstrip())
    with TemporaryDirectory(prefix="edgenet-bench-") as folder:
        if options.cli:
            results = [startup()]
        elif options.export:
            results = [whole_export(Path(folder), options.export)]
        else:
            bundles = options.bundles or [export(Path(folder), *one) for one in NETWORKS]
            measure = formats if options.formats else overhead
            results = [measure(Bundle.open(path)) for path in bundles]
    if options.json:
        words = ["scripts/bench", *sys.argv[1 : sys.argv.index("--json")]]
        command = shlex.join("DATA" if word == options.export else word for word in words)
        measured = {"command": command, "machine": machine, "state": state}
        record = msgspec.to_builtins(measured) | {"results": results}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(result["ok"] for result in results) else 1


def overhead(bundle: Bundle) -> dict[str, Any]:
    """The classifier's time beyond preprocessing against a bare invoke of the same interpreter.

    They take turns frame by frame, and each follows the same preprocessing, so that they meet the
    same caches and the same neighbours on the machine.  Beside them: invoke with its input set and
    its output read, which no program can do without, and the tight loop of invokes alone.
    """
    pictures = resized(bundle.golden().frames, *FRAME)
    frames = [Frame(index, 0.0, picture) for index, picture in enumerate(pictures)]
    classifier = Classifier.open(bundle, "int8.tflite")
    interpreter = classifier.session._interpreter  # type: ignore[attr-defined]
    ends = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def edgenet(frame: Frame) -> float:
        start = time.perf_counter()
        stage_ms = classifier(frame).stage_ms
        return (time.perf_counter() - start) * 1000 - stage_ms["preprocess"]

    def invoke(frame: Frame) -> float:
        classifier.prepare(frame.rgb)
        return timed(interpreter.invoke)

    def fed(frame: Frame) -> float:
        model_input = classifier.prepare(frame.rgb)
        start = time.perf_counter()
        interpreter.set_tensor(ends[0], model_input)
        interpreter.invoke()
        interpreter.get_tensor(ends[1])
        return (time.perf_counter() - start) * 1000

    times = take_turns([edgenet, invoke, fed], frames)
    runs = len(times[edgenet])
    medians = {contender: statistics.median(found) for contender, found in times.items()}
    tight = statistics.median(timed(interpreter.invoke) for _ in range(runs))
    preprocess = statistics.median(
        timed(partial(classifier.prepare, frame.rgb)) for frame in frames * 20
    )
    ratio = medians[edgenet] / medians[invoke]
    low, high = interval(np.array(times[edgenet]), np.array(times[invoke]))
    result = {
        "what": f"classifier beyond preprocessing over bare invoke, {bundle.manifest.name} int8",
        "measured": f"{ratio:.3f} ({low:.3f} to {high:.3f})",
        "demanded": f"at most {1 + OVERHEAD}",
        "bundle": bundle.manifest.name,
        "variant": "int8.tflite",
        "threads": 1,
        "runs": runs,
        "edgenet_ms": medians[edgenet],
        "invoke_ms": medians[invoke],
        "fed_invoke_ms": medians[fed],
        "tight_invoke_ms": tight,
        "preprocess_ms": preprocess,
        "ratio": ratio,
        "ratio_95": [low, high],
        "limit": 1 + OVERHEAD,
        "ok": ratio <= 1 + OVERHEAD,
    }
    print(
        f"{bundle.manifest.name} int8.tflite, 1 thread, medians of {runs} turns:\n"
        f"  classifier beyond preprocessing  {medians[edgenet]:.4f} ms\n"
        f"  bare invoke                      {medians[invoke]:.4f} ms\n"
        f"  ratio {ratio:.4f} ({low:.4f} to {high:.4f}), at most {1 + OVERHEAD}:"
        f" {verdict(result)}\n"
        f"  beside them: invoke with input set and output read {medians[fed]:.4f} ms,"
        f" in a tight loop {tight:.4f} ms,\n"
        f"  preprocessing of {FRAME[1]}x{FRAME[0]} {preprocess:.4f} ms"
    )
    return result


def formats(bundle: Bundle) -> dict[str, Any]:
    """int8 against fp32 on LiteRT and on ONNX Runtime: bare runs of one thread, by turns."""
    pictures = bundle.golden().inputs
    frames = [Frame(index, 0.0, picture) for index, picture in enumerate(pictures)]

    def runner(variant: Variant) -> Contender:
        classifier = Classifier.open(bundle, variant)

        def run(frame: Frame) -> float:
            model_input = classifier.prepare(frame.rgb)
            return timed(partial(classifier.session.run, [model_input]))

        return run

    runners = {variant: runner(variant) for variant in EXPORTED}
    times = take_turns(list(runners.values()), frames)
    medians = {variant: statistics.median(times[run]) for variant, run in runners.items()}
    ratio = medians["int8.onnx"] / medians["fp32.onnx"]
    result = {
        "what": f"int8 over fp32 time on ONNX Runtime, {bundle.manifest.name}",
        "measured": f"{ratio:.3f} ({medians['int8.onnx']:.3f} over {medians['fp32.onnx']:.3f} ms)",
        "demanded": "at most 1",
        "runs": len(times[runners["int8.onnx"]]),
        "medians_ms": medians,
        "ok": ratio <= 1,
    }
    print(
        f"{bundle.manifest.name}, 1 thread, medians of {result['runs']} turns, milliseconds:\n  "
        + ", ".join(f"{variant} {found:.3f}" for variant, found in medians.items())
        + f"\n  int8.onnx over fp32.onnx {ratio:.3f}, at most 1: {verdict(result)}"
    )
    return result


def whole_export(folder: Path, data: str) -> dict[str, Any]:
    """Wall time of ``edgenet export`` for MobileNetV1 1.0 at 224 with 200 calibration pictures."""
    import torch

    from edgenet.dataset import open_dataset
    from edgenet.host import checkpoint
    from edgenet.host.models import build
    from edgenet.spec import ModelSpec, Preprocess

    spec = ModelSpec("mobilenet_v1", 1.0, open_dataset(data).labels, Preprocess(224, 224))
    torch.manual_seed(0)
    model = folder / "checkpoint"
    checkpoint.save(model, checkpoint.Checkpoint(spec=spec), build(spec).state_dict())
    command = [sys.executable, "-m", "edgenet", "export", "--target", "pc", "--data", data]
    start = time.perf_counter()
    subprocess.run([*command, "--model", model, "-o", folder / "bundle"], check=True)
    seconds = time.perf_counter() - start
    result = {
        "what": "edgenet export of mobilenet_v1_1.0_224, 200 calibration pictures, four files",
        "measured": f"{seconds:.1f} s",
        "demanded": f"at most {EXPORT_S:.0f} s",
        "seconds": seconds,
        "ok": seconds <= EXPORT_S,
    }
    print(f"{result['what']}: {seconds:.1f} s, {result['demanded']}: {verdict(result)}")
    return result


Contender = Callable[[Frame], float]


def take_turns(contenders: list[Contender], frames: list[Frame]) -> dict[Contender, list[float]]:
    """The milliseconds of each; whoever goes after another finds its caches, so the order turns."""
    times: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for frame in frames * 5:
        for contender in contenders:
            contender(frame)
    begin = time.perf_counter()
    turn = 0
    while turn < MIN_TURNS or time.perf_counter() - begin < MIN_S:
        shift = turn % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            times[contender].append(contender(frames[turn % len(frames)]))
        turn += 1
    return times


def interval(mine: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> tuple[float, float]:
    """95 % of the ratio of medians, by resampling the turns."""
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(mine), (500, len(mine)))
    ratios = np.median(mine[picks], axis=1) / np.median(theirs[picks], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(low), float(high)


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def startup(rounds: int = 20) -> dict[str, Any]:
    """How much longer ``edgenet --help`` takes than a Python that does nothing; they take turns."""
    help_command = [sys.executable, "-m", "edgenet", "--help"]
    times: dict[str, list[float]] = {"bare": [], "help": []}
    for _ in range(rounds):
        for name, command in (("bare", [sys.executable, "-c", "pass"]), ("help", help_command)):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    bare_s, help_s = (statistics.median(times[name]) for name in ("bare", "help"))
    result = {
        "what": "edgenet --help beyond a bare Python's start",
        "measured": f"{help_s - bare_s:.3f} s",
        "demanded": f"at most {STARTUP_S} s",
        "bare_python_s": bare_s,
        "edgenet_help_s": help_s,
        "more_s": help_s - bare_s,
        "limit_s": STARTUP_S,
        "runs": rounds,
        "ok": help_s - bare_s <= STARTUP_S,
    }
    print(
        f"edgenet --help {help_s:.3f} s, bare Python {bare_s:.3f} s (medians of {rounds}):"
        f" {help_s - bare_s:.3f} s more, at most {STARTUP_S}: {verdict(result)}"
    )
    return result


def verdict(result: dict[str, Any]) -> str:
    return "ok" if result["ok"] else "OVER THE LIMIT"


def export(folder: Path, alpha: float, side: int, classes: int) -> Path:
    """A bundle of an untrained MobileNetV1: weights do not change its speed."""
    import torch

    from edgenet import bundle, golden
    from edgenet.host import export as exporting
    from edgenet.host.models import build
    from edgenet.host.quantize import Calibrator, example_input
    from edgenet.spec import ModelSpec, Preprocess

    labels = tuple(f"class {index}" for index in range(classes))
    spec = ModelSpec("mobilenet_v1", alpha, labels, Preprocess(side, side))
    name = exporting.model_name(spec)
    print(f"exporting {name} ...", file=sys.stderr)
    torch.manual_seed(0)
    network = build(spec).eval()
    calibrator = Calibrator(network, spec)
    calibrator.observe([torch.rand_like(example_input(spec)) for _ in range(4)])
    models = exporting.convert(network, calibrator, spec, EXPORTED)
    pictures, tensors = golden.answers(models, spec, folder)
    written = bundle.write(
        folder / name,
        name=name,
        target="pc",
        spec=spec,
        models=models,
        tensors=tensors,
        golden=pictures,
        calibration=None,
        drift=None,
        versions={},
        command="scripts/bench",
    )
    return written.root


if __name__ == "__main__":
    sys.exit(main())
