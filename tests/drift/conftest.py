from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgenet import bundle as bundles
from edgenet.bundle import Bundle
from edgenet.dataset import Dataset
from edgenet.dataset.split import ArraySplit
from edgenet.runtime.litert import LiteRT

TINY = Path(__file__).parent.parent / "golden" / "tiny"
LABELS = tuple("abcdef")
PICTURES = 20


@pytest.fixture(scope="session")
def engines():
    for module in ("ai_edge_litert", "onnxruntime", "cv2"):
        pytest.importorskip(module, reason=f"{module} comes with edgenet[pc]")


@pytest.fixture(scope="session")
def rewrite(engines, tmp_path_factory):
    """Writes the golden bundle again, with parts of its manifest or its models changed.

    Its labels become letters, which the folders of a data set can be named after.
    """

    def write(*, variants=None, models=None, labels=LABELS, **changed) -> Bundle:
        tiny = Bundle.open(TINY)
        kept = variants or tiny.variants
        golden = tiny.golden()
        parts = {"name": "tiny", "target": "pc", "calibration": tiny.manifest.calibration}
        return bundles.write(
            tmp_path_factory.mktemp("bundle") / "tiny",
            spec=msgspec.structs.replace(tiny.spec, labels=labels),
            models={v: tiny.model(v).read_bytes() for v in kept} | (models or {}),
            tensors={v: (tiny.record(v).inputs, tiny.record(v).outputs) for v in kept},
            golden=dataclasses.replace(golden, outputs={v: golden.outputs[v] for v in kept}),
            drift=None,
            versions={},
            command="",
            **(parts | changed),
        )

    return write


@pytest.fixture(scope="session")
def tiny(rewrite) -> Bundle:
    return rewrite()


@pytest.fixture(scope="session")
def coarse(rewrite) -> Bundle:
    """A badly quantized bundle: the int8 classifier's weights have three levels left."""
    path = Bundle.open(TINY).model("int8.tflite")
    session = LiteRT().open(path)
    weights = session.tensor(session.operators()[-1].inputs[1])
    few = (np.rint(weights / 120) * 120).astype(np.int8)
    content = path.read_bytes()
    assert content.count(weights.tobytes()) == 1
    return rewrite(models={"int8.tflite": content.replace(weights.tobytes(), few.tobytes())})


@pytest.fixture(scope="session")
def pictures():
    """Golden frames, darker and under noise: uint8 (120, 16, 16, 3), some hard to tell apart."""
    inputs = Bundle.open(TINY).golden().inputs
    rng = np.random.default_rng(0)
    dark = inputs[:, None] * rng.uniform(0.5, 1, (1, PICTURES, 1, 1, 1))
    noisy = dark + rng.normal(0, 10, (len(inputs), PICTURES, 1, 1, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8).reshape(-1, *inputs.shape[1:])


@pytest.fixture(scope="session")
def dataset(pictures) -> Dataset:
    targets = np.repeat(np.arange(len(LABELS)), PICTURES)
    held = ArraySplit("noisy/val", lambda: (pictures, targets))
    return Dataset("noisy", LABELS, {"train": held, "val": held})


@pytest.fixture(scope="session")
def folder(pictures, engines, tmp_path_factory) -> Path:
    """The same pictures as files."""
    import cv2

    root = tmp_path_factory.mktemp("data") / "noisy"
    for number, rgb in enumerate(pictures):
        for part in ("train", "val"):
            place = root / part / LABELS[number // PICTURES]
            place.mkdir(parents=True, exist_ok=True)
            if part == "val" or number % PICTURES == 0:
                cv2.imwrite(str(place / f"{number:03}.png"), rgb[..., ::-1])
    return root
