"""From a checkpoint to C that an emulated board proves."""

from __future__ import annotations

import re
from pathlib import Path

import click.testing
import pytest
import torch

from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.dataset import open_dataset
from edgenet.host import checkpoint as checkpoints
from edgenet.host.calibration import Choice, calibrate
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.spec import ModelSpec, Preprocess


def run(*words: object) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, list(map(str, words)))


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_export_for_a_microcontroller(tmp_path: Path) -> None:
    spec = ModelSpec("mobilenet_v1", 0.25, tuple("0123456789"), Preprocess(32, 32))
    torch.manual_seed(0)
    network = build(spec).eval()
    _, ranges = calibrate(
        Checkpoint(spec=spec), network, Choice(open_dataset("digits"), samples=16)
    )
    whole = Checkpoint(spec=spec, calibration=ranges)
    checkpoints.save(tmp_path / "model", whole, network.state_dict())
    place = tmp_path / "b"
    words = ["export", "--target", "mcu", "--model", tmp_path / "model", "-o", place]
    small = tmp_path / "small.toml"
    small.write_text(
        'name = "small"\ntitle = "Small"\ncore = "cortex-m4"\nflash_bytes = 65_536\n'
        '[source]\nflash_bytes = "https://example.org"\n'
    )
    refused = run(*words, "--board", small)
    assert refused.exit_code == 1
    assert "the model does not fit small: flash for all needs" in refused.output
    assert not place.exists()
    made = run(*words, "--board", "nano33ble")
    assert made.exit_code == 0, made.output
    assert re.search("the model (and its code fit|less its code fits) nano33ble: ", made.output)
    assert "Next:\n" in made.output
    assert made.output.count("edgenet profile") == 1
    assert Bundle.open(place).variants == ("fp32.tflite", "int8.tflite")
    proved = run("verify", place)
    assert proved.exit_code == 0, proved.output
    assert "C on QEMU's mps2-an386 for nano33ble computes what the host computed." in proved.output
    assert run(*words, "--sram-budget", "1000").exit_code == 1
