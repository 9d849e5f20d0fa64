"""What edgenet exports meets the Edge TPU's rules, and is compiled where the compiler is."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest
import torch
from coral import write_compiler

from edgenet import edgetpu, tflite
from edgenet.architecture import ARCHITECTURES
from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.dataset import open_dataset
from edgenet.host import checkpoint as checkpoints
from edgenet.host.calibration import Choice, calibrate
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.spec import ModelSpec, Preprocess

# as the real compiler does, it says the same as the rules: here it is told by them
FOLLOWS_THE_RULES = """
from collections import Counter
from coral import compiled
from edgenet import edgetpu, tflite
content = model.read_bytes()
verdict = edgetpu.check(tflite.read(content, "m"))
(out / (model.stem + "_edgetpu.tflite")).write_bytes(compiled(content))
print("Edge TPU Compiler version 16.0.384591198")
print("Number of Edge TPU subgraphs:", verdict.subgraphs)
print("Off-chip memory used for streaming uncached model parameters: 0.00B")
print("On-chip memory used for caching model parameters: 9.50KiB")
for name, count in Counter(one.operator for one in verdict.operators).items():
    print(f"{name:<30} {count:<10} Mapped to Edge TPU")
"""


def is_whole(model: bytes) -> bool:
    verdict = edgetpu.check(tflite.read(model, "model"))
    assert verdict.refused == ""
    assert [one for one in verdict.operators if one.status != "mapped"] == []
    assert (verdict.subgraphs, verdict.memory.fits) == (1, "yes")
    return verdict.whole


def test_int8_model_is_mapped_whole(translated) -> None:
    assert is_whole(translated()["int8.tflite"])


HARD_SWISH = ("mobilenet_v3_large", "mobilenet_v3_small")


@pytest.mark.slow
@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if arch not in HARD_SWISH])
def test_every_architecture_is_mapped_whole(translated, arch: str) -> None:
    assert is_whole(translated(arch)["int8.tflite"])


@pytest.mark.slow
def test_hard_swish_is_what_the_coral_lacks(translated) -> None:
    verdict = edgetpu.check(tflite.read(translated("mobilenet_v3_small")["int8.tflite"], "model"))
    refused = [one for one in verdict.operators if one.rule]
    assert {one.operator for one in refused} == {"HARD_SWISH"}
    assert "such as MobileNetV3 minimalistic" in refused[0].rule


def test_float_model_breaks_the_rules(translated) -> None:
    verdict = edgetpu.check(tflite.read(translated()["fp32.tflite"], "model"))
    assert verdict.mapped == 0


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [False, True])
def test_export_for_the_coral(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: bool
) -> None:
    spec = ModelSpec("mobilenet_v1", 0.25, tuple("0123456789"), Preprocess(32, 32))
    torch.manual_seed(0)
    network = build(spec).eval()
    record = Checkpoint(spec=spec)
    _, ranges = calibrate(record, network, Choice(open_dataset("digits"), samples=16))
    checkpoints.save(
        tmp_path / "model", Checkpoint(spec=spec, calibration=ranges), network.state_dict()
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    if compiler:
        write_compiler(tmp_path / "bin", FOLLOWS_THE_RULES)
    words = ["export", "--target", "coral", "--model", tmp_path / "model", "-o", tmp_path / "b"]
    result = click.testing.CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 0, result.output
    assert "28 of 28 operators run on the Edge TPU, in one part." in result.stdout
    bundle = Bundle.open(tmp_path / "b")
    if compiler:
        assert "The rules say the same." in result.stdout
        assert bundle.variants == ("fp32.tflite", "int8.tflite", "int8_edgetpu.tflite")
        assert bundle.manifest.versions["edgetpu_compiler"] == "16.0.384591198"
    else:
        assert "It is not compiled yet: edgetpu_compiler is not here." in result.stdout
        assert bundle.variants == ("fp32.tflite", "int8.tflite")
