"""Every ``--quantize`` of V2 and minimalistic V3 runs as the float network does; V3's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from norms import scatter

from edgenet import image, runtime, tflite
from edgenet import target as targets
from edgenet.drift.sqnr import sqnr_db
from edgenet.errors import ExportError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.host import formats
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import Network, build
from edgenet.host.quantize import Calibrator
from edgenet.runtime.litert import LiteRT
from edgenet.spec import ModelSpec, Preprocess, Variant

LABELS = tuple("0123456789")
SIDE = 32
PICTURES = np.random.default_rng(0).integers(0, 256, (16, SIDE, SIDE, 3), np.uint8)
# signal to noise of the logits in dB, at least
LEAST: Mapping[Variant, float] = {
    "fp32.tflite": 100,
    "float16.tflite": 50,
    "int16x8.tflite": 20,
    "int8.tflite": 14,
    "dynamic.tflite": 20,
}
WHOLE = ("mobilenet_v2", "mobilenet_v3_small_minimalistic")
FULL_V3 = "mobilenet_v3_small"


@dataclass
class Made:
    """A network with random weights, and its files."""

    spec: ModelSpec
    network: Network
    files: Mapping[Variant, bytes]

    def expected(self) -> np.ndarray:
        with torch.no_grad():
            return self.network(normalized(self.spec).permute(0, 3, 1, 2)).numpy()

    def answers(self, variant: Variant, folder: Path) -> np.ndarray:
        path = folder / variant
        path.write_bytes(self.files[variant])
        session = LiteRT().open(path)
        takes, gives = session.inputs[0], session.outputs[0]
        given = [image.as_tensor(one, self.spec.preprocess, takes) for one in PICTURES]
        return runtime.dequantize(np.concatenate([session.run([one])[0] for one in given]), gives)


def normalized(spec: ModelSpec) -> torch.Tensor:
    return torch.from_numpy(np.stack([image.normalize(one, spec.preprocess) for one in PICTURES]))


def built(arch: str) -> tuple[ModelSpec, Network]:
    spec = ModelSpec(arch, 0.25, LABELS, Preprocess(SIDE, SIDE))
    torch.manual_seed(0)
    network = build(spec)
    scatter(network, centred=True)
    network.classifier.weight.data.normal_(0, 0.3)
    return spec, network.eval()


@pytest.fixture(scope="module", params=WHOLE)
def made(request: pytest.FixtureRequest) -> Made:
    spec, network = built(request.param)
    calibrator = Calibrator(network, spec)
    calibrator.observe([normalized(spec)])
    return Made(spec, network, exporter.convert(network, calibrator, spec, list(LEAST)))


@pytest.mark.slow
@pytest.mark.parametrize("variant", LEAST)
def test_litert_answers_as_the_float_network_does(
    made: Made, variant: Variant, tmp_path: Path
) -> None:
    noise = sqnr_db(made.expected(), made.answers(variant, tmp_path))
    assert noise > LEAST[variant]


@pytest.mark.slow
def test_integer_formats_compute_in_integers_alone(made: Made) -> None:
    for variant in ("int8.tflite", "int16x8.tflite"):
        graph = tflite.read(made.files[variant], variant).subgraphs[0]
        assert not {one.name for one in graph.operators} & {"QUANTIZE", "DEQUANTIZE"}


def test_int16x8_of_the_full_v3_is_refused_before_anything_is_calibrated(tmp_path: Path) -> None:
    spec, network = built(FULL_V3)
    checkpoints.save(tmp_path / "run", Checkpoint(spec=spec), network.state_dict())
    words = "it has HARD_SWISH, which .*; choose --quantize int8, float16 or dynamic, or train a"
    # the checkpoint has no ranges either, which would be found out next
    with pytest.raises(ExportError, match=words):
        exporter.export(
            tmp_path / "run", targets.load("rpi"), tmp_path / "out", quantize=("int16x8", "float16")
        )
    assert not (tmp_path / "out").exists()
    with pytest.raises(ExportError, match=words):
        exporter.convert(network, None, spec, ["int16x8.tflite"])


@pytest.mark.parametrize("arch", ["mobilenet_v1", *WHOLE])
def test_int16x8_of_the_others_is_not_refused(arch: str) -> None:
    formats.check_int16x8(built(arch)[1])
