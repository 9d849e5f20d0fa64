"""The compiler as a command: one that compiles, refuses, hangs, or writes something else."""

from __future__ import annotations

import shlex

import pytest
from coral import COMPILES, channel_max, compiled, write_compiler

from edgenet.edgetpu import compiler
from edgenet.errors import ExportError


@pytest.fixture
def command(monkeypatch, tmp_path):
    """A function that puts a compiler of a given body on the PATH."""

    def put(body):
        write_compiler(tmp_path / "bin", body)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    return put


def test_compiled_model_comes_with_its_log(command):
    command(COMPILES)
    made = compiler.compile(channel_max(), "int8.tflite")
    assert made.content == compiled(channel_max())
    assert made.log.whole
    assert made.versions == {"edgetpu_compiler": "16.0.384591198"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("print('ERROR: it is too large'); sys.exit(1)", "refuses int8.tflite: it is too large$"),
        ("print('Segmentation fault'); sys.exit(139)", "refuses int8.tflite: Segmentation fault$"),
        ("sys.exit(0)", "refuses int8.tflite: it says nothing$"),
        (
            "(out / 'int8_edgetpu.tflite').write_bytes(model.read_bytes())",
            "maps no operator of int8.tflite; edgenet check says which rules$",
        ),
        (
            "(out / 'int8_edgetpu.tflite').write_text('oh')",
            "wrote something else than a model: int8_edgetpu.tflite is not a TFLite model",
        ),
    ],
)
def test_failure_is_one_sentence(command, body, sentence):
    command(body)
    with pytest.raises(ExportError, match=f"^edgetpu_compiler {sentence}"):
        compiler.compile(channel_max(), "int8.tflite")


def test_compiler_that_hangs_is_ended(command):
    command("import time; time.sleep(60)")
    with pytest.raises(ExportError, match=r"took longer than 0\.3 s over int8\.tflite"):
        compiler.compile(channel_max(), "int8.tflite", timeout_s=0.3)


def test_compiler_of_another_machine_is_one_sentence(command, tmp_path):
    command("")
    (tmp_path / "bin" / "edgetpu_compiler").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(ExportError, match="edgetpu_compiler cannot be run: Exec format error"):
        compiler.compile(channel_max(), "int8.tflite")


def test_missing_compiler_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not compiler.available()
    with pytest.raises(ExportError, match="edgetpu_compiler is not on the PATH"):
        compiler.compile(channel_max(), "int8.tflite")


def test_recipe_is_one_command_of_a_shell():
    words = shlex.split(compiler.recipe("my bundle/models/int8.tflite").replace("\\\n", " "))
    assert words[:2] == ["docker", "run"]
    assert "$(realpath 'my bundle/models'):/in:ro" in words
    assert words[-1].rstrip().endswith("edgetpu_compiler -s -o /out /in/int8.tflite")
