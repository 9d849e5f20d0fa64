"""What the base install, numpy, click and msgspec, can do, whatever else is installed here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TINY = Path(__file__).parent / "golden" / "tiny"
LIGHT = """
import sys
for name in ("cv2", "onnxruntime", "ai_edge_litert", "tflite_runtime", "torch"):
    sys.modules[name] = None
from edgenet.cli.main import main
main(sys.argv[1:], prog_name="edgenet")
"""


def edgenet(*arguments):
    command = [sys.executable, "-c", LIGHT, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_verify_checks_the_files_and_says_that_nothing_could_be_run():
    result = edgenet("verify", TINY)
    assert result.returncode == 1
    assert "every file is as it was written; 6 golden frames" in result.stdout
    assert "resizing a picture needs OpenCV, which is not installed" in result.stdout
    assert result.stderr == (
        "Error: no model could be run here, so nothing is proved: running a .tflite model needs"
        " LiteRT, which is not installed; run: pip install 'edgenet[litert]'; running a .onnx model"
        " needs ONNX Runtime, which is not installed; run: pip install 'edgenet[onnx]'\n"
    )


def test_verify_still_finds_a_changed_file(tmp_path):
    root = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    path = root / "models" / "int8.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    result = edgenet("verify", root)
    assert result.returncode == 1
    assert "int8.tflite: sha256 is" in result.stderr


@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
def test_run_names_the_one_package_that_it_lacks(variant, tmp_path):
    (tmp_path / "a.png").touch()
    result = edgenet("run", TINY, "--source", tmp_path, "--variant", variant)
    assert result.returncode == 1
    assert "which is not installed; run: pip install 'edgenet[" in result.stderr
    assert "Traceback" not in result.stderr


def test_targets_are_listed_with_what_they_lack():
    result = edgenet("targets")
    assert result.returncode == 0
    assert "pip install 'edgenet[rpi]'" in result.stdout
