"""The gate of ``edgenet evaluate`` before quantizations that are deliberately bad."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from edgenet import bundle, image
from edgenet.bundle import Bundle, Calibration
from edgenet.cli.main import main
from edgenet.dataset import Dataset, open_dataset
from edgenet.drift.evaluate import Options, evaluate
from edgenet.drift.sqnr import sqnr_db
from edgenet.golden import answers
from edgenet.host import export
from edgenet.host.quantize import Calibrator
from edgenet.spec import ModelSpec, Preprocess
from edgenet.stream.classify import Classifier

pytestmark = pytest.mark.torch

SPEC = ModelSpec("mobilenet_v1", 1.0, tuple("0123456789"), Preprocess(16, 16))
VARIANTS = ("fp32.tflite", "int8.tflite")
STEPS = 150


class Small(nn.Module):
    """Two separable blocks: enough to read digits, small enough to train in a test."""

    def __init__(self) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
            nn.Conv2d(16, 32, 1, bias=False),
            nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False),
            nn.Conv2d(32, 48, 1, bias=False),
        ]
        self.features = nn.Sequential(
            *(nn.Sequential(c, nn.BatchNorm2d(c.out_channels), nn.ReLU6()) for c in layers)
        )
        self.classifier = nn.Linear(48, len(SPEC.labels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3), keepdim=True).flatten(1))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset("digits")


@pytest.fixture(scope="module")
def inputs(dataset: Dataset) -> torch.Tensor:
    """The training pictures as the network takes them, (N, 16, 16, 3)."""
    fitted = [image.fit(example.rgb, SPEC.preprocess) for example in dataset.splits["train"]]
    return torch.from_numpy(image.normalize(np.stack(fitted), SPEC.preprocess))


@pytest.fixture(scope="module")
def network(dataset: Dataset, inputs: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    net = Small()
    targets = torch.from_numpy(dataset.splits["train"].targets)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(targets), (64,))
        optimizer.zero_grad()
        logits = net(inputs[chosen].permute(0, 3, 1, 2))
        nn.functional.cross_entropy(logits, targets[chosen]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@pytest.fixture(scope="module")
def spread(network: nn.Module) -> nn.Module:
    """The same network, with one channel of layer 2 dead, its folded weights 300 times as large.

    Batch norm leaves such channels behind.  Their output is always 0, so float does not mind.
    """
    net = copy.deepcopy(network)
    norm = net.features[2][1]
    with torch.no_grad():
        norm.weight[0] = 300 * norm.weight.abs().max()
        norm.bias[0] = -1e5
    return net


def write(
    folder: Path, network: nn.Module, pictures: torch.Tensor, *, per_channel: bool = True
) -> Bundle:
    """The bundle of a network that was calibrated on ``pictures``."""
    net = copy.deepcopy(network)
    calibrator = Calibrator(net, SPEC, per_channel=per_channel)
    calibrator.observe(picture[None] for picture in pictures)
    models = export.convert(net, calibrator, SPEC, VARIANTS)
    golden, tensors = answers(models, SPEC, folder)
    return bundle.write(
        folder / "bundle",
        name="small",
        target="pc",
        spec=SPEC,
        models=models,
        tensors=tensors,
        golden=golden,
        calibration=Calibration("digits train", len(pictures), 0, "minmax", ()),
        drift=None,
        versions={},
        command="",
    )


@pytest.fixture(scope="module")
def good(network: nn.Module, inputs: torch.Tensor, tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("good")
    return write(folder, network, inputs[:100])


@pytest.fixture(scope="module")
def per_tensor(spread: nn.Module, inputs: torch.Tensor, tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("per_tensor")
    return write(folder, spread, inputs[:100], per_channel=False)


@pytest.fixture(scope="module")
def dark_calibration(network: nn.Module, inputs: torch.Tensor, tmp_path_factory) -> Bundle:
    """Calibrated on pictures that were divided by 255 twice, a common slip."""
    return write(tmp_path_factory.mktemp("dark"), network, inputs[:100] / 255)


def run(bundle: Bundle, *options: str):
    return CliRunner().invoke(
        main,
        ["evaluate", str(bundle.root), "--data", "digits", "--limit", "top1_drop=0.5", *options],
    )


def test_a_good_quantization_passes(good: Bundle, dataset: Dataset):
    result = run(good)
    assert result.exit_code == 0, result.output
    # or the gate would have nothing to lose
    assert evaluate(good, dataset).results[0].top1.value > 0.9


def test_per_tensor_weights_with_a_spread_out_channel_are_caught(per_tensor: Bundle):
    result = run(per_tensor)
    assert result.exit_code == 3, result.output
    assert "int8.tflite: top1_drop is" in result.stderr
    assert "above its limit of 0.5 points" in result.stderr


def test_per_channel_weights_survive_the_spread_out_channel(
    spread: nn.Module, inputs: torch.Tensor, tmp_path
):
    result = run(write(tmp_path, spread, inputs[:100]))
    assert result.exit_code == 0, result.output


def test_the_layer_with_the_spread_out_channel_is_named(per_tensor: Bundle, dataset: Dataset):
    layers = evaluate(per_tensor, dataset, Options(layers=True)).layers
    entered = min(layers, key=lambda layer: layer.gained_db or 0)
    assert (entered.index, entered.operator) == (2, "CONV_2D")
    assert entered.clipped < 0.01


def test_calibration_on_the_wrong_pictures_is_caught(dark_calibration: Bundle):
    result = run(dark_calibration)
    assert result.exit_code == 3, result.output
    assert "int8.tflite: top1_drop is" in result.stderr


def test_calibration_on_the_wrong_pictures_shows_as_clipping(
    dark_calibration: Bundle, good: Bundle, dataset: Dataset
):
    bad, fine = (
        max(layer.clipped for layer in evaluate(b, dataset, Options(layers=True)).layers)
        for b in (dark_calibration, good)
    )
    assert bad > 0.05 > 0.02 > fine


def test_the_reference_is_the_network_that_was_trained(
    network: nn.Module, good: Bundle, dataset: Dataset
):
    # What is drift must not hide in the reference: quantizing leaves the float weights alone.
    classifier = Classifier.open(good, "fp32.tflite")
    prepared = [classifier.prepare(dataset.evaluation.rgb(n)) for n in range(50)]
    exported = np.stack([classifier.logits(one) for one in prepared])
    with torch.inference_mode():
        trained = network(torch.from_numpy(np.concatenate(prepared)).permute(0, 3, 1, 2)).numpy()
    assert sqnr_db(trained, exported) > 100
