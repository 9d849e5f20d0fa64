"""Channel elimination on models of the whole chain: torch, PT2E, litert-torch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click.testing
import engines
import numpy as np
import pytest
import torch

from edgenet import bundle as bundles
from edgenet import int8, tflite, verify
from edgenet import target as targets
from edgenet.cli.main import main
from edgenet.codegen import LayerSaving, Report, eliminate
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.host.quantize import Calibrator, example_input
from edgenet.host.to_tflite import to_tflite
from edgenet.int8.graph import Weighted
from edgenet.report import elimination
from edgenet.spec import ModelSpec, Preprocess

SPEC = ModelSpec("mobilenet_v1", 0.25, tuple("0123456789"), Preprocess(32, 32))


def dying(spec: ModelSpec) -> torch.nn.Module:
    """A network as training leaves it: batch norms that keep some ReLU6 channels below zero."""
    torch.manual_seed(0)
    network = build(spec).eval()
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            dead = torch.rand(len(module.bias), generator=generator) < 0.3
            module.weight.data[dead] = 0.001
            module.bias.data[dead] = -1.0
    network.classifier.weight.data.normal_(0, 0.1, generator=generator)
    return network


@pytest.fixture(scope="module")
def model() -> bytes:
    network = dying(SPEC)
    calibrator = Calibrator(network, SPEC)
    pictures = np.random.default_rng(1).integers(0, 256, (8, 1, 32, 32, 3), np.uint8)
    calibrator.observe(torch.from_numpy(pictures).float() / 255)
    return to_tflite(calibrator.convert(), example_input(SPEC))


def pictures(count: int, side: int) -> np.ndarray:
    """Noise, flat ones, and a ramp."""
    rng = np.random.default_rng(0)
    found = rng.integers(-128, 128, (count, 1, side, side, 3)).astype(np.int8)
    found[0], found[1] = -128, 127
    found[2] = np.linspace(-128, 127, side, dtype=np.int8)[:, np.newaxis]
    return found


def xnnpack(data, inputs):
    return engines.litert(data, inputs, "AUTO")


@pytest.mark.slow
def test_dead_relu6_channels_go_and_every_engine_answers_the_same(model):
    smaller, report = eliminate(model)
    assert report.macs_left < 0.7 * report.macs
    assert report.bytes_left < 0.8 * report.bytes
    (result,) = outputs_of(model)
    for picture in pictures(6, 32):
        for engine in (engines.micro, engines.litert, xnnpack, engines.reference):
            before, after = engine(model, [picture])(result), engine(smaller, [picture])(result)
            np.testing.assert_array_equal(before, after, err_msg=engine.__name__)


def outputs_of(data: bytes) -> tuple[int, ...]:
    return tflite.read(data, "model").subgraphs[0].outputs


@pytest.mark.slow
def test_the_shipped_model_answers_the_same_without_its_dead_channels():
    record, network = checkpoints.load_network(checkpoints.default())
    calibrator, _ = exporter.calibrated(record, network, None)
    files = exporter.convert(network, calibrator, record.spec, ("int8.tflite",))
    model = files["int8.tflite"]
    smaller, report = eliminate(model)
    assert report.channels_left < report.channels
    (result,) = outputs_of(model)
    for picture in pictures(12, record.spec.preprocess.height):
        for engine in (engines.micro, engines.litert, xnnpack):
            before, after = engine(model, [picture])(result), engine(smaller, [picture])(result)
            np.testing.assert_array_equal(before, after, err_msg=engine.__name__)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    checkpoints.save(folder, Checkpoint(spec=SPEC), dying(SPEC).state_dict())
    return folder


def run(*arguments: object) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_export_leaves_dead_channels_out_and_says_what_that_saved(checkpoint, tmp_path):
    command = ("export", "--target", "rpi", "--model", checkpoint, "--data", "digits",
               "--calib-samples", 8)  # fmt: skip
    plain = run(*command, "-o", tmp_path / "plain")
    assert plain.exit_code == 0, plain.output
    assert "channels" not in plain.stdout
    result = run(*command, "-o", tmp_path / "smaller", "--eliminate-channels")
    assert result.exit_code == 0, result.output
    assert "channels were dead and are gone" in result.stdout
    before, after = (
        bundles.Bundle.open(tmp_path / "plain"),
        bundles.Bundle.open(tmp_path / "smaller"),
    )
    assert before.record("int8.tflite").elimination is None
    assert after.record("fp32.tflite").elimination is None
    found = after.record("int8.tflite").elimination
    assert (found.channels, found.macs, found.bytes) == totals(before)
    assert (found.channels_left, found.macs_left, found.bytes_left) == totals(after)
    assert all(left < whole for left, whole in zip(totals(after), totals(before), strict=True))
    assert after.record("fp32.tflite").sha256 == before.record("fp32.tflite").sha256
    np.testing.assert_array_equal(
        after.golden().outputs["int8.tflite"], before.golden().outputs["int8.tflite"]
    )
    assert {check.status for check in verify.verify(after)} == {"equal"}
    assert "labels.txt" in after.model("int8.tflite").read_bytes().decode("latin-1")


def totals(bundle: bundles.Bundle) -> tuple[int, int, int]:
    """Channels and multiplications of int8.tflite, and its bytes."""
    data = bundle.model("int8.tflite").read_bytes()
    graph = int8.build(tflite.read(data, "int8.tflite"))
    weighted = [layer for layer in graph.layers if isinstance(layer, Weighted)]
    macs = sum(layer.macs(graph.values[layer.output]) for layer in weighted)
    return sum(layer.outputs for layer in weighted), macs, len(data)


def test_the_sentence_says_what_is_left():
    whole = LayerSaving("CONV_2D 0", channels=8, channels_left=8, macs=10**6, macs_left=10**6)
    cut = LayerSaving("CONV_2D 1", channels=8, channels_left=2, macs=10**6, macs_left=500_000)
    assert elimination.summary(Report((whole,), 2000, 2000)) == "none of its 8 channels is dead"
    assert elimination.summary(Report((whole, cut), 20_000, 8000)) == (
        "6 of its 16 channels were dead and are gone: 1.50 of 2.00 million multiplications (75.0%)"
        " and 8 of 20 kB are left, and the same answers"
    )


def test_a_target_that_takes_no_int8_tflite_refuses_the_option(tmp_path):
    folder = shutil.copytree(Path(str(targets.load("pc").folder)), tmp_path / "pc")
    toml = (folder / "target.toml").read_text(encoding="utf-8")
    kept = re.sub(r"variants = \[.*?\]", 'variants = ["fp32.tflite"]', toml, flags=re.DOTALL)
    (folder / "target.toml").write_text(kept, encoding="utf-8")
    result = run("export", "--target", folder, "--eliminate-channels", "-o", tmp_path / "bundle")
    assert result.exit_code == 2
    assert "makes int8.tflite smaller, and the bundle is to hold fp32.tflite" in result.stderr
