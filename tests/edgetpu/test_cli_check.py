"""``edgenet check`` as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from coral import COMPILES, write_compiler

from edgenet.cli.main import main

TINY = Path(__file__).parent.parent / "golden" / "tiny"


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch, tmp_path):
    """A PATH on which there is none."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def run(*words):
    return CliRunner().invoke(main, ["check", *map(str, words)])


def test_bundle_of_our_own_is_mapped_whole():
    result = run(TINY)
    assert result.exit_code == 0, result.output
    assert "5 of 5 operators run on the Edge TPU, in one part." in result.stdout
    assert "fit the device's cache of 8.0 MiB" in result.stdout
    assert "docker run --rm --platform linux/amd64" in result.stdout


def test_float_model_stays_on_the_cpu_and_ends_with_3():
    result = run(TINY / "models" / "fp32.tflite", "--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert (found["subgraphs"], found["whole"], found["compiler"]) == (0, False, None)
    assert "operators stay on the CPU; the first is number 0, CONV_2D: tensor 0" in result.stderr
    assert "is float32, not int8 or uint8" in result.stderr


def test_compiled_model_is_described(models):
    result = run(models / "largest_edgetpu.tflite")
    assert result.exit_code == 0
    assert "Compiled for the Edge TPU by compiler 16.0.384591198" in result.stdout
    assert "kept in its cache; needs runtime 14 or newer" in result.stdout


def test_compiler_is_held_against_the_rules(models, tmp_path):
    write_compiler(tmp_path / "bin", COMPILES)
    result = run(models / "largest.tflite")
    assert result.exit_code == 0, result.output
    assert "edgetpu_compiler 16.0.384591198: 2 of 2 operators, one part" in result.stdout
    assert "The rules say the same." in result.stdout
    found = json.loads(run(models / "largest.tflite", "--json").stdout)
    assert found["compiler"]["rows"][0]["operator"] == "MAX_POOL_2D"
    assert found["differences"] == []


def test_compiler_that_leaves_more_to_the_cpu_is_believed(models, tmp_path):
    table, row = COMPILES.split("RESHAPE  ")
    body = f"{table}RESHAPE  {row.replace('Mapped to Edge TPU', 'Operation not supported')}"
    write_compiler(tmp_path / "bin", body)
    result = run(models / "largest.tflite")
    assert result.exit_code == 3
    assert "RESHAPE: the rules map 1, the compiler 0" in result.stdout
    assert "the compiler leaves 1 operators to the CPU" in result.stderr
    assert run(models / "largest.tflite", "--no-compiler").exit_code == 0


def test_compiler_that_fails_is_told(models, tmp_path):
    write_compiler(tmp_path / "bin", "print('Internal compiler error. Aborting!'); sys.exit(1)")
    result = run(models / "largest.tflite")
    assert result.exit_code == 3
    assert "refuses largest.tflite: Internal compiler error. Aborting!" in result.stderr


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.tflite", "nothing at"),
        ("text.tflite", "is not a TFLite model"),
        ("empty", "has no manifest.json"),
    ],
)
def test_what_is_no_model_is_refused_in_one_sentence(tmp_path, name, sentence):
    (tmp_path / "text.tflite").write_text("text")
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / name)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_bundle_without_int8_is_refused(tmp_path):
    root = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    manifest = json.loads((root / "manifest.json").read_text())
    del manifest["models"]["int8.tflite"]
    (root / "manifest.json").write_text(json.dumps(manifest))
    result = run(root)
    assert result.exit_code == 1
    assert "no variant 'int8.tflite'" in result.stderr
