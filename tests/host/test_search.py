"""``edgenet fit --search`` trains real networks, here and on Ray's workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from edgenet.cli.main import main

pytest.importorskip("optuna", reason="Optuna is not installed; run: pip install 'edgenet[search]'")
from edgenet.host.search import Here
from edgenet.host.study import Found

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
        (["--search", "s", "--data", "digits", "--classes", "3"], "drop --classes"),
        (["--search", "s", "--data", "digits", "--recipe", "qat"], "edgenet train --qat"),
        (["--search", "s", "--data", "digits", "--recipe", "quik"], "did you mean 'quick'?"),
    ],
)
def test_a_search_that_cannot_be_is_refused(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["fit", "--target", "pc", *words])
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_search_whose_folder_cannot_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, [*SMALL, "--search", str(tmp_path / "file" / "s")])
    assert result.exit_code == 2
    assert "Not a directory; choose another folder" in result.stderr


def test_a_trial_that_failed_hides_no_result_and_the_page_has_them_too(tmp_path, monkeypatch):
    def first(self, running):
        _, settings, _ = running[0]
        small = settings.spec.alpha == 0.25
        return running[0], Found(0.9, 100, 5.0) if small else Found(error="no memory", seconds=5.0)

    monkeypatch.setattr(Here, "first", first)
    page = tmp_path / "page.html"
    words = [*SMALL, "--search", str(tmp_path / "s"), "--html", str(page)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "Error: mobilenet_v1_0.5_16: no memory; the others are kept" in result.stderr
    (row,) = json.loads(result.stdout)
    assert (row["network"], row["top1"]) == ("mobilenet_v1_0.25_16", 0.9)
    assert "trained: top-1 90.0 %" in page.read_text()


def test_nothing_is_left_where_there_are_no_workers(tmp_path, monkeypatch):
    ray = SimpleNamespace(init=Mock(side_effect=ConnectionError("give `--address`")))
    monkeypatch.setitem(sys.modules, "ray", ray)
    words = [*SMALL, "--search", str(tmp_path / "s"), "--ray", "auto"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert "no Ray cluster that this machine belongs to; start one" in result.stderr
    assert "--address" not in result.stderr
    assert not (tmp_path / "s").exists()


def test_the_pictures_of_a_search_are_found_from_any_folder(tmp_path, monkeypatch):
    asked = []

    def first(self, running):
        asked.append(running[0][1].data)
        return running[0], Found(0.9, 100, 5.0)

    monkeypatch.setattr(Here, "first", first)
    for name in ("a", "b"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for number in range(12):
            picture = f"P2 2 2 255 {number} {ord(name)} 0 1\n"
            (tmp_path / "flowers" / name / f"{number}.pgm").write_text(picture)
    monkeypatch.chdir(tmp_path)
    words = [word for word in SMALL if word not in ("--data", "digits")]
    words += ["--trials", "1", "--data"]
    result = CliRunner().invoke(main, [*words, "flowers", "--search", "s"])
    assert result.exit_code == 0, result.output
    assert asked == [str(tmp_path / "flowers")]
    # the same search, typed in another folder
    monkeypatch.chdir(tmp_path / "s")
    result = CliRunner().invoke(main, [*words, "../flowers", "--search", "."])
    assert result.exit_code == 0, result.output
