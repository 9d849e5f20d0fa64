"""What ``edgenet fit`` predicts without torch is what a network that torch exported takes."""

from __future__ import annotations

import shutil

import nightly
import pytest
import torch
from torch import nn

from edgenet import edgetpu, tflite
from edgenet.architecture import ARCHITECTURES
from edgenet.board import load
from edgenet.codegen.program import program
from edgenet.fit import linked, mapped
from edgenet.fit.constants import bytes_of
from edgenet.fit.footprint import OVERHEAD, file_bytes
from edgenet.fit.generated import Generator, generate
from edgenet.fit.point import Point
from edgenet.host import export
from edgenet.host.models import build
from edgenet.host.quantize import Calibrator, example_input
from edgenet.spec import ModelSpec, Preprocess

BOARD = "stm32f746"


def exported(point: Point) -> tuple[bytes, int]:
    """An int8 .tflite with weights that no two layers share, and the bytes of its labels."""
    labels = tuple(f"class {index}" for index in range(point.classes))
    spec = ModelSpec(point.arch, point.alpha, labels, Preprocess(point.side, point.side))
    torch.manual_seed(0)
    network = build(spec).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
        elif isinstance(module, nn.Linear):  # zeros would be shared, or left out
            nn.init.normal_(module.bias, std=0.1)
    calibrator = Calibrator(network, spec)
    calibrator.observe([torch.rand_like(example_input(spec)) for _ in range(2)])
    models = export.convert(network, calibrator, spec, ("int8.tflite",))
    return models["int8.tflite"], len("".join(f"{label}\n" for label in labels))


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    nightly.beyond(
        1,
        [
            Point("mobilenet_v2", 0.35, 96, 10),
            Point("mobilenet_v1", 0.25, 96, 10),
            Point("mobilenet_v1", 0.5, 64, 3),
            Point("mobilenet_v3_small_minimalistic", 0.75, 64, 10),
        ],
    ),
    ids=lambda point: point.name,
)
def test_a_network_takes_what_was_predicted_before_it_was_trained(point, tmp_path):
    data, labels = exported(point)
    assert file_bytes(point) + labels == pytest.approx(len(data), abs=64)
    real, drawn = program(data, "net", elimination=False), generate(point)
    assert real.plan.size == drawn.plan.size
    assert real.constant_bytes == drawn.constant_bytes
    assert bytes_of(real, "cortex-m55") == bytes_of(drawn, "cortex-m55")
    assert [one.layer.__class__ for one in real.layers] == [
        one.layer.__class__ for one in drawn.layers
    ]
    if shutil.which("arm-none-eabi-gcc") is not None:
        predicted = Generator(load(BOARD)).footprint(point)
        whole = linked.build(real, load(BOARD), tmp_path)
        assert (predicted.flash, predicted.ram) == (whole.flash, whole.ram)


def test_every_family_for_large_pictures_has_its_overhead_recorded():
    large = {name for name, family in ARCHITECTURES.items() if family.stem_stride == 2}
    assert large == set(OVERHEAD)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    nightly.beyond(
        1,
        [
            Point("mobilenet_v3_small", 0.75, 64, 10),
            Point("mobilenet_v3_large", 0.75, 64, 10),
            Point("mobilenet_v3_large_minimalistic", 0.75, 64, 10),
        ],
    ),
    ids=lambda point: point.name,
)
def test_a_file_is_what_was_predicted_and_so_is_what_the_edge_tpu_runs_of_it(point):
    data, labels = exported(point)
    exact = point.arch.endswith("minimalistic")
    right = {"abs": 64} if exact else {"rel": 0.005}
    assert file_bytes(point) + labels == pytest.approx(len(data), **right)
    found, drawn = edgetpu.check(tflite.read(data, point.name)), mapped.verdict(point)
    assert found.whole == drawn.whole == exact
    if found.whole:
        assert found.memory == drawn.memory
