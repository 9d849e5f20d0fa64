"""Weights that int8 alone is made of: kept beside the float ones, exported code for code."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from edgenet import target as targets
from edgenet import tflite
from edgenet.bundle import Bundle, Calibration
from edgenet.cli.main import main
from edgenet.errors import CheckpointError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.models import build
from edgenet.host.models.folded import folded
from edgenet.host.quantize import Calibrator
from edgenet.spec import ModelSpec, Preprocess

LABELS = tuple("0123456789")
SPEC = ModelSpec("mobilenet_v1", 0.25, LABELS, Preprocess(32, 32))
SNAPPED = "blocks.3.pointwise"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated checkpoint, its weights stored as float16."""
    folder = tmp_path_factory.mktemp("plain")
    torch.manual_seed(0)
    network = build(SPEC).eval()
    checkpoints.save(folder, Checkpoint(spec=SPEC), network.state_dict(), float16=True)
    record, stored = checkpoints.load_network(folder)
    calibrator = Calibrator(stored, SPEC)
    calibrator.observe([torch.rand(8, 32, 32, 3)])
    found = CalibrationRecord(Calibration("noise", 8, 0, "minmax", ()), calibrator.ranges())
    checkpoints.amend(folder, folder, msgspec.structs.replace(record, calibration=found))
    return folder


@pytest.fixture(scope="module")
def codes() -> Tensor:
    """Of one layer's weights; the largest of each channel has code 127 or -127."""
    generator = torch.Generator().manual_seed(1)
    found = torch.randint(-126, 127, (64, 32, 1, 1), generator=generator)
    found[:, 0] = 127
    found[::2, 0] = -127
    return found


@pytest.fixture(scope="module")
def snapped(plain: Path, codes: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint with other weights in one layer of int8."""
    folder = tmp_path_factory.mktemp("snapped")
    record, network = checkpoints.load_network(plain)
    weights = folded(network).state_dict()
    name = f"{SNAPPED}.conv.weight"
    assert weights[name].shape == codes.shape
    scale = torch.rand(len(codes), 1, 1, 1, generator=torch.Generator().manual_seed(2)) / 100
    weights[name] = codes * (scale + 1e-3)
    assert record.calibration is not None
    calibration = msgspec.structs.replace(record.calibration, remedies=("rounding",))
    changed = msgspec.structs.replace(record, calibration=calibration)
    checkpoints.save_int8(plain, folder, changed, weights)
    return folder


def run(*words: str | Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [str(word) for word in words])


def test_the_float_weights_stay_byte_for_byte_and_the_record_names_both(
    plain: Path, snapped: Path
) -> None:
    same = [(folder / checkpoints.WEIGHTS).read_bytes() for folder in (plain, snapped)]
    assert same[0] == same[1]
    record, network = checkpoints.load_network(snapped)
    assert checkpoints.has_int8(record)
    int8 = checkpoints.int8_network(snapped, record, network)
    assert not [m for m in int8.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not torch.equal(
        int8.get_parameter(f"{SNAPPED}.conv.weight"),
        network.get_parameter(f"{SNAPPED}.conv.weight"),
    )


def test_without_such_weights_int8_is_made_of_the_float_network(plain: Path) -> None:
    record, network = checkpoints.load_network(plain)
    assert checkpoints.int8_network(plain, record, network) is network


def test_rounded_weights_are_exported_code_for_code(
    snapped: Path, codes: Tensor, tmp_path: Path
) -> None:
    bundle = exporter.export(snapped, targets.load("rpi"), tmp_path / "bundle")
    held = weights_of(bundle, SNAPPED)
    np.testing.assert_array_equal(held, codes.permute(0, 2, 3, 1).numpy())
    assert bundle.manifest.calibration is not None
    assert bundle.manifest.calibration.remedies == ("rounding",)


def weights_of(bundle: Bundle, layer: str) -> np.ndarray:
    """The int8 weights of a pointwise layer in int8.tflite, counted in the network's order."""
    place = [name for name in layers(bundle) if not name.endswith("depthwise")].index(layer)
    graph = tflite.read(bundle.model("int8.tflite").read_bytes(), "int8").subgraphs[0]
    step = [operator for operator in graph.operators if operator.name == "CONV_2D"][place]
    found = graph.tensors[step.inputs[1]].data
    assert found is not None
    return found


def layers(bundle: Bundle) -> list[str]:
    return [layer.name for layer in build(bundle.spec).layers]


def test_amending_a_copy_takes_both_and_a_new_calibration_takes_them_away(
    plain: Path, snapped: Path, tmp_path: Path
) -> None:
    record = checkpoints.read_record(snapped)
    checkpoints.amend(snapped, tmp_path, record)
    there = (tmp_path / checkpoints.INT8).read_bytes()
    assert there == (snapped / checkpoints.INT8).read_bytes()
    checkpoints.amend(tmp_path, tmp_path, checkpoints.read_record(plain))
    assert not (tmp_path / checkpoints.INT8).exists()


def test_an_older_edgenet_refuses_only_what_it_would_get_wrong(plain: Path, snapped: Path) -> None:
    schemas = [
        json.loads((folder / checkpoints.RECORD).read_text())["schema"]
        for folder in (plain, snapped)
    ]
    assert schemas == [1, 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"x", "int8.safetensors: sha256 is .* changed after"), (None, "int8.safetensors cannot be")],
)
def test_damaged_weights_for_int8_are_refused(
    snapped: Path, tmp_path: Path, content: bytes | None, words: str
) -> None:
    record, network = checkpoints.load_network(snapped)
    if content is not None:
        (tmp_path / checkpoints.INT8).write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        checkpoints.int8_network(tmp_path, record, network)


def test_pictures_for_a_checkpoint_with_weights_for_int8_are_refused(
    snapped: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    words = ("--target", "rpi", "--model", snapped, "--data", "digits", "-o", out)
    result = run("export", *words)
    assert result.exit_code == 2
    assert "holds weights for int8 (rounding) with their ranges; leave --data out" in result.output
    assert not out.exists()
