"""A run that is killed, as power failures and schedulers kill, goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from edgenet.host import checkpoint

pytestmark = [pytest.mark.torch, pytest.mark.slow]
pytest.importorskip("sklearn", reason="scikit-learn comes with the host extra")

RUN = (
    "--data", "digits", "--alpha", "0.1", "--imgsz", "16", "--epochs", "4", "--seed", "3",
    "--set", "validate_every=1", "--accelerator", "cpu",
)  # fmt: skip


def command(*words):
    return [sys.executable, "-m", "edgenet", "train", *map(str, words)]


def weights(folder):
    record, _ = checkpoint.load(folder)
    return record.weights_sha256, record.metrics


def test_a_killed_run_resumes_to_the_very_same_weights(tmp_path):
    subprocess.run(command(*RUN, "-o", tmp_path / "whole"), check=True, capture_output=True)
    killed = subprocess.Popen(
        command(*RUN, "-o", tmp_path / "killed"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    with killed:
        for line in killed.stderr:
            if b"epoch 2/4" in line:
                os.kill(killed.pid, signal.SIGKILL)
                break
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / checkpoint.RECORD).exists()
    again = subprocess.run(
        command("--resume", "-o", tmp_path / "killed"), check=True, capture_output=True, text=True
    )
    assert "going on" in again.stderr
    assert "epoch 1/4" not in again.stderr
    assert "epoch 4/4" in again.stderr
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    left = {path.name for path in (tmp_path / "killed" / "training").iterdir()}
    assert left == {"run.json", "logs"}


def test_two_processes_share_a_run(tmp_path):
    shared = subprocess.run(
        command(*RUN, "--alpha", 0.25, "--imgsz", 32, "--devices", 2, "-o", tmp_path / "run"),
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert shared.stdout.count("top-1") == 1
    assert shared.stderr.count("epoch 4/4") == 1
    record, _ = checkpoint.load(tmp_path / "run")
    assert record.metrics["test_top1"] > 0.3
