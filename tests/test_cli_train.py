from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from edgenet.cli.main import main

pytest.importorskip("torch", reason="torch is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
pytestmark = pytest.mark.torch

SMALL = (
    "--arch", "mobilenet_v1", "--alpha", "0.1", "--imgsz", "16", "--epochs", "1",
    "--batch-size", "8", "--accelerator", "cpu", "--logger", "none",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for label, low in (("bright", 128), ("dark", 0)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(low, low + 128, (16, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "data" / label / f"{number}.png"), pixels)
    return tmp_path / "data"


def run(*words):
    return CliRunner().invoke(main, ["train", *map(str, words)])


def test_a_run_ends_with_the_result_and_the_next_command(folder, tmp_path):
    result = run("--data", folder, *SMALL, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'run'}  mobilenet_v1 0.1, 16x16, 2 classes" in result.stdout
    assert "at 95 %" in result.stdout
    assert "on the 4 pictures of val" in result.stdout
    assert "top-5" not in result.stdout  # of two classes
    assert f"edgenet export --target pc --model {tmp_path / 'run'} --data {folder}" in result.stdout
    assert "epoch 1/1" in result.stderr
    assert "epoch 1/1" not in result.stdout


def test_json_holds_the_record_and_no_place_of_this_machine(folder, tmp_path):
    result = run("--data", folder, *SMALL, "--json", "--seed", 3, "-o", tmp_path / "run")
    content = json.loads(result.stdout)
    assert content["seed"] == 3
    assert content["spec"]["labels"] == ["bright", "dark"]
    assert set(content["metrics"]) == {"val_top1", "val_loss"}
    small = " ".join(SMALL)
    assert content["command"] == f"edgenet train --data DATA {small} --json --seed 3 -o OUT"
    assert content["epochs"] == 1
    assert str(tmp_path) not in result.stdout


QAT = ("--qat", "--accelerator", "cpu", "--logger", "none")


@pytest.mark.slow
def test_training_with_int8s_rounding_reports_both_networks(folder, tmp_path):
    assert run("--data", folder, *SMALL, "-o", tmp_path / "float").exit_code == 0
    words = ("--init", tmp_path / "float", "--data", folder, "--epochs", 1)
    result = run(*QAT, *words, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "  float top-1 " in result.stdout
    assert "  int8 top-1 " in result.stdout
    assert "on the 4 pictures of val" in result.stdout
    assert f"edgenet export --target pc --model {tmp_path / 'run'}\n" in result.stdout
    assert "measuring the float and the int8 network" in result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "--qat goes on from a trained checkpoint; name it with --init"),
        (("--init", "default", "--alpha", 1), "--qat: the network is that of --init; drop --alpha"),
        (("--init", "default", "--imgsz", 64), "the network is that of --init; drop --imgsz"),
        (("--init", "default", "--like", "mobilenet_v1_0.25_96"), "drop --like"),
        (("--init", "default", "--weights", "imagenet"), "those of --init; drop --weights"),
        (("--init", "default", "--freeze", "0"), "weights meet int8's rounding; drop --freeze"),
        (("--init", "default", "--float16"), "kept as they are, those of int8 in float32; drop"),
        (("--init", "default", "--precision", "bf16-mixed"), "coarser than int8's codes; drop"),
        (("--init", "default", "--recipe", "quick"), "this recipe has no [qat] section"),
        (("--init", "default", "--set", "ema=0.9"), "no average is kept of weights that are"),
        (("--init", "default"), "digits has other classes than"),
        (("--init", "nowhere"), "nothing at 'nowhere'"),
    ],
)
def test_what_makes_no_sense_with_qat_is_refused_in_a_sentence(words, sentence, tmp_path):
    result = run(*QAT, "--data", "digits", *words, "-o", tmp_path / "run")
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "run").exists()


def test_qat_trains_on_one_device(folder, tmp_path):
    assert run("--data", folder, *SMALL, "-o", tmp_path / "float").exit_code == 0
    words = ("--init", tmp_path / "float", "--data", folder, "--devices", 2)
    result = run(*QAT, *words, "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "--qat trains on one device; drop --devices and --num-nodes" in result.stderr


def test_a_recipe_for_qat_needs_the_option(tmp_path):
    result = run("--data", "digits", "--recipe", "qat", "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "a recipe with a [qat] section is for --qat" in result.stderr


def test_options_override_the_recipe(folder, tmp_path):
    words = ("--recipe", "paper", "--lr", 0.01, "--set", "augment.flip=false", "--json")
    result = run("--data", folder, *SMALL, *words, "-o", tmp_path / "run")
    recipe = json.loads(result.stdout)["recipe"]
    assert recipe["optimizer"]["name"] == "rmsprop"
    assert recipe["optimizer"]["lr"] == 0.01
    assert recipe["augment"]["flip"] is False
    assert (recipe["epochs"], recipe["batch_size"]) == (1, 8)


def test_an_unfinished_run_is_continued(folder, tmp_path):
    assert run("--data", folder, *SMALL, "--json", "-o", tmp_path / "run").exit_code == 0
    (tmp_path / "run" / "checkpoint.json").unlink()  # as if killed just before the end
    result = run("--resume", "-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "checkpoint.json").is_file()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "--data is missing; give digits, cifar10 or a folder"),
        (("--data", "nowhere"), 1, "no data set 'nowhere'"),
        (("--data", "digits", "--arch", "mobilnet_v1"), 2, "did you mean 'mobilenet_v1'"),
        (("--data", "digits", "--alpha", "-1"), 2, "alpha is -1.0"),
        (("--data", "digits", "--recipe", "fast"), 2, "no recipe 'fast'"),
        (("--data", "digits", "--set", "lr=1"), 2, "no key 'lr'"),
        (("--data", "digits", "--lr", "0"), 2, "--lr is 0.0; it must be above 0"),
        (("--data", "digits", "--init", "nowhere"), 1, "nothing at 'nowhere'; a checkpoint is"),
        (("--data", "digits", "--freeze", "all", "--epochs", "1"), 2, "give 'features' or 0 to 13"),
        (
            ("--data", "digits", "--weights", "no.pth"),
            1,
            "nothing at 'no.pth'; give a .safetensors",
        ),
        (
            ("--data", "digits", "--weights", "imagenet", "--arch", "mobilenet_v2_cifar"),
            2,
            "no ImageNet weights are known for mobilenet_v2_cifar 1; there are some for mobile",
        ),
        (
            ("--data", "digits", "--weights", "imagenet", "--init", "default"),
            2,
            "--init and --weights are both given",
        ),
        (("--resume",), 2, "holds no run to resume"),
        (("--resume", "--epochs", "3"), 2, "--epochs cannot change in a run that is resumed"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path, monkeypatch, words, code, sentence):
    monkeypatch.chdir(tmp_path)
    result = run(*words, "-o", tmp_path / "run")
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_an_output_folder_is_asked_for():
    result = run("--data", "digits")
    assert result.exit_code == 2
    assert "Missing option '-o' / '--output'" in result.stderr


BEFORE_TORCH = """
import json, sys
from click.testing import CliRunner
from edgenet.cli.main import main
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, ["train", *words])
    loaded = "torch" in sys.modules
    print(json.dumps([result.exit_code, result.stderr.splitlines()[-1], loaded]))
"""


def test_what_makes_no_sense_is_refused_before_torch_is_loaded(tmp_path):
    """Torch takes seconds to load, and minutes on a busy machine."""
    data = ("--data", "digits")
    sentences = {
        (): "--data is missing",
        (*data, "--qat"): "name it with --init",
        (*data, "--qat", "--init", "default", "--weights", "imagenet"): "drop --weights",
        (*data, "--init", "default", "--weights", "imagenet"): "are both given",
        (*data, "--arch", "mobilnet_v1"): "did you mean 'mobilenet_v1'",
        (*data, "--alpha", "-1"): "alpha is -1.0",
        ("--data", "nowhere"): "no data set 'nowhere'",
        (*data, "--recipe", "qat"): "is for --qat",
        (*data, "--recipe", "modern", "--lr", "0"): "--lr is 0.0",
        ("--resume", "--epochs", "3"): "--epochs cannot change",
    }
    cases = [[*words, "-o", str(tmp_path / "run")] for words in sentences]
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_TORCH, json.dumps(cases)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases)
    for sentence, (code, said, loaded) in zip(sentences.values(), found, strict=True):
        assert code in (1, 2)
        assert sentence in said
        assert not loaded, sentence
