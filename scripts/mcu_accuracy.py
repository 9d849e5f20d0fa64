"""A bundle's int8 model as generated C on every picture of a data set, beside other engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tflite_micro
from mcu_records import Accuracy

from edgenet import tflite
from edgenet.bundle import Bundle
from edgenet.codegen import emit
from edgenet.codegen.native import Library
from edgenet.codegen.program import program
from edgenet.dataset import open_dataset
from edgenet.dataset.split import Split
from edgenet.image import as_tensor, fit
from edgenet.runtime.litert import LiteRT

Codes = np.ndarray
_MANY = 256


def evaluate(bundle: Bundle, source: str) -> Accuracy:
    """Show every picture of a data set's evaluation split to every engine."""
    dataset = open_dataset(source)
    split = dataset.evaluation
    codes, targets = inputs(bundle, split), split.targets
    data = bundle.model("int8.tflite").read_bytes()
    ours, theirs = generated(data, codes), micro(data, codes)

    def top1(logits: np.ndarray) -> float:
        return float(np.mean(logits.argmax(1) == targets))

    return Accuracy(
        network=bundle.manifest.name,
        dataset=f"{dataset.name} {dataset.evaluation_name}",
        images=len(codes),
        fp32=top1(litert(bundle, "fp32.tflite", codes)),
        xnnpack=top1(litert(bundle, "int8.tflite", codes)),
        c=top1(ours),
        different_logits=int(np.count_nonzero(ours != theirs)),
    )


def inputs(bundle: Bundle, split: Split) -> Codes:
    """int8 (pictures, height, width, 3) of all pictures of a split."""
    preprocess, spec = bundle.spec.preprocess, bundle.record("int8.tflite").inputs[0]
    shape = (len(split), *spec.shape[1:])
    found = np.empty(shape, np.int8)
    for index in range(len(split)):
        found[index] = as_tensor(fit(split.rgb(index), preprocess), preprocess, spec)[0]
    return found


def generated(data: bytes, codes: Codes) -> np.ndarray:
    """Logits, int8 (pictures, classes), of the C that this machine's compiler builds."""
    made = program(data, "net")
    with TemporaryDirectory(prefix="edgenet-c-") as folder:
        emit.write(made, Path(folder) / "net")
        library = Library(Path(folder) / "net", Path(folder) / "build")
        arena = library.arena()
        parts = np.array_split(codes.reshape(len(codes), -1), max(1, len(codes) // _MANY))
        return np.concatenate([library.answer(arena, part) for part in parts])


def micro(data: bytes, codes: Codes) -> np.ndarray:
    """Logits of TensorFlow Lite Micro, int8 (pictures, classes)."""
    whole = tflite.write(tflite.read(data, "int8.tflite"))  # constants where it looks for them
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(whole, arena_size=32 << 20)

    def run(picture: Codes) -> np.ndarray:
        interpreter.set_input(picture, 0)
        interpreter.invoke()
        return np.array(interpreter.get_output(0)[0])

    return _each(run, codes)


def litert(bundle: Bundle, variant: str, codes: Codes) -> np.ndarray:
    """Logits of a variant on LiteRT's default engine (pictures, classes)."""
    session = LiteRT().open(bundle.model(variant))
    preprocess, spec = bundle.spec.preprocess, bundle.record(variant).inputs[0]

    def run(picture: Codes) -> np.ndarray:
        pixels = picture[0].view(np.uint8) ^ 128
        (found,) = session.run([as_tensor(pixels, preprocess, spec)])
        return found[0]

    return _each(run, codes)


def _each(run: Callable[[Codes], np.ndarray], codes: Codes) -> np.ndarray:
    return np.stack([run(picture[np.newaxis]) for picture in codes])
