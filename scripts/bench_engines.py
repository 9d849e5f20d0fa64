"""The measurements of scripts/bench_engines, whose header says what they are."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tflite_micro

from edgenet.architecture import format_name
from edgenet.bundle import Bundle
from edgenet.dataset import open_dataset
from edgenet.environment import Probe
from edgenet.image import as_tensor, fit
from edgenet.runtime.litert import LiteRT
from edgenet.runtime.onnx import OnnxRuntime

XNNPACK, ONNX = "LiteRT with XNNPACK", "ONNX Runtime"
REFERENCE, MICRO = "LiteRT's reference kernels", "TensorFlow Lite Micro"
# the first of each pair is what the second is held against
PAIRS = ((XNNPACK, ONNX), (MICRO, REFERENCE), (MICRO, XNNPACK))
SAME_CLASS = 0.995

Codes = np.ndarray
Run = Callable[[Codes], Codes]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_engines", description=__doc__)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="last; write the result")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    codes = list(pictures(bundle, options.data, options.pictures))
    runs = engines(bundle)
    steps = {name: np.stack([run(one) for one in codes]).astype(int) for name, run in runs.items()}
    spec = bundle.spec
    network = format_name(spec.arch, spec.alpha, spec.preprocess.height)
    machine = Probe().machine()
    print(f"{network}, {len(codes):,} pictures of {options.data}; {machine.cpu}")
    results = [compare(steps, *pair, network=network) for pair in PAIRS]
    results.append(cost(bundle, codes, steps[XNNPACK], network))
    for result in results:
        print(f"  {result['what']}: {result['measured']}; {result['demanded']}")
    if options.json:
        words = sys.argv[1 : sys.argv.index("--json")]
        words = [
            "DATA" if w == options.data else "BUNDLE" if Path(w) == options.bundle else w
            for w in words
        ]
        record = {
            "command": " ".join(["scripts/bench_engines", *words]),
            "machine": msgspec.to_builtins(machine),
            "results": results,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(result["ok"] for result in results) else 1


def pictures(bundle: Bundle, source: str, count: int) -> Iterator[Codes]:
    """The model's int8 input (1, height, width, 3) of pictures spread over the evaluation split."""
    split = open_dataset(source).evaluation
    preprocess, spec = bundle.spec.preprocess, bundle.record("int8.tflite").inputs[0]
    for index in np.linspace(0, len(split) - 1, min(count, len(split))).astype(int):
        yield as_tensor(fit(split[int(index)].rgb, preprocess), preprocess, spec)


def engines(bundle: Bundle) -> dict[str, Run]:
    """Each engine as a function from the int8 input to the int8 logits (classes,)."""
    path = bundle.model("int8.tflite")
    micro = tflite_micro.runtime.Interpreter.from_file(str(path), arena_size=32 << 20)
    xnnpack, reference = LiteRT().open(path), LiteRT(resolver="reference").open(path)
    onnx = OnnxRuntime().open(bundle.model("int8.onnx"))

    def run_micro(codes: Codes) -> Codes:
        micro.set_input(codes, 0)
        micro.invoke()
        return micro.get_output(0)[0]

    def run_onnx(codes: Codes) -> Codes:
        (found,) = onnx.run([codes.view(np.uint8) ^ 128])
        return (found[0] ^ 128).view(np.int8)

    return {
        XNNPACK: lambda codes: xnnpack.run([codes])[0][0],
        ONNX: run_onnx,
        MICRO: run_micro,
        REFERENCE: lambda codes: reference.run([codes])[0][0],
    }


def compare(steps: dict[str, Codes], first: str, second: str, *, network: str) -> dict[str, Any]:
    """How far apart two engines are, in steps of the output's scale."""
    apart = np.abs(steps[first] - steps[second])
    same = float(np.mean(steps[first].argmax(1) == steps[second].argmax(1)))
    across = {first, second} == {MICRO, XNNPACK}
    if across:
        demanded, ok = f"at least {SAME_CLASS:.1%} keep their class", same >= SAME_CLASS
    elif REFERENCE in (first, second):
        demanded, ok = "at most 1 step, in FULLY_CONNECTED alone", bool(apart.max() <= 1)
    else:
        demanded, ok = "equal", not apart.any()
    measured = (
        f"{np.mean(apart > 0):.2%} of the logits differ, by {rms(apart):.2f} steps rms and at most "
        f"{apart.max()}; {np.mean(apart <= 2):.2%} within 2 steps; {same:.2%} of the pictures keep "
        "their class"
        if apart.any()
        else "every logit is equal"
    )
    what = f"int8 logits of {network}, {first} against {second}, {len(apart):,} pictures"
    return {"what": what, "measured": measured, "demanded": demanded, "ok": ok}


def cost(bundle: Bundle, codes: list[Codes], int8: Codes, network: str) -> dict[str, Any]:
    """What quantization itself moves the logits by, for comparison."""
    fp32 = LiteRT().open(bundle.model("fp32.tflite"))
    preprocess, spec = bundle.spec.preprocess, bundle.record("fp32.tflite").inputs[0]
    output = bundle.record("int8.tflite").outputs[0]
    pixels = ((one.view(np.uint8) ^ 128)[0] for one in codes)
    real = np.stack([fp32.run([as_tensor(one, preprocess, spec)])[0][0] for one in pixels])
    apart = real / output.scale[0] + output.zero_point[0] - int8
    what = f"int8 logits of {network} against fp32, {len(int8):,} pictures"
    return {
        "what": what,
        "measured": f"{rms(apart):.2f} steps rms",
        "demanded": "printed",
        "ok": True,
    }


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


if __name__ == "__main__":
    sys.exit(main())
