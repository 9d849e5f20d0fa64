"""``edgenet fit --search`` trains real networks, here and on Ray's workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from edgenet.cli.main import main

pytest.importorskip("optuna", reason="Optuna is not installed; run: pip install 'edgenet[search]'")
SMALL = (
    "fit", "--target", "pc", "--arch", "v1", "--alpha", "0.25,0.5", "--imgsz", "16",
    "--data", "digits", "--epochs", "1", "--json",
)  # fmt: skip


@pytest.mark.slow
def test_a_search_trains_and_goes_on(tmp_path):
    words = [*SMALL, "--search", str(tmp_path / "s")]
    first = CliRunner().invoke(main, [*words, "--trials", "1"])
    assert first.exit_code == 0, first.output
    (before,) = json.loads(first.stdout)
    both = CliRunner().invoke(main, words)
    assert both.exit_code == 0, both.output
    rows = json.loads(both.stdout)
    assert {row["network"] for row in rows} == {"mobilenet_v1_0.25_16", "mobilenet_v1_0.5_16"}
    assert before in rows
    for row in rows:
        assert 0 < row["top1_low"] <= row["top1"] <= row["top1_high"] <= 1
        assert (tmp_path / "s" / row["folder"] / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.nightly
def test_two_local_ray_workers_train(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed; run: pip install 'edgenet[cluster]'")
    words = [*SMALL, "--search", str(tmp_path / "s"), "--ray", "local", "--workers", "2"]
    # a process of its own: Ray forks, which what other tests imported does not bear
    result = subprocess.run(
        [sys.executable, "-m", "edgenet", *words],
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert {row["network"] for row in rows} == {"mobilenet_v1_0.25_16", "mobilenet_v1_0.5_16"}
    # both were handed out before either was done
    lines = [line for line in result.stderr.splitlines() if "trial" in line]
    assert [", lr " in line for line in lines] == [True, True, False, False]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--search", "s"], "give them with --data"),
        (["--trials", "2"], "give --search DIR"),
        (["--search", "s", "--data", "digits", "--workers", "2"], "--ray local"),
    ],
)
def test_a_search_that_cannot_be_is_refused(words, said):
    result = CliRunner().invoke(main, ["fit", "--target", "pc", *words])
    assert result.exit_code == 2
    assert said in result.stderr
