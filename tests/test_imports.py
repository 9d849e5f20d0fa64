"""What an import loads, seen in a process of its own: a device has none of the heavy packages."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from typing import Any

import pytest

import edgenet
from edgenet.cli.main import COMMANDS

HEAVY = (
    "torch", "torchao", "torchvision", "litert_torch", "lightning", "kornia", "onnx", "onnxscript",
    "safetensors", "sklearn", "scipy", "PIL", "matplotlib", "tensorboard", "tqdm", "jax",
)  # fmt: skip
ENGINES = ("cv2", "onnxruntime", "ai_edge_litert", "tflite_runtime", "tflite_micro", "picamera2")

LOADED = """
import importlib, json, sys
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def loaded_by(module: str) -> set[str]:
    """Top-level packages that a fresh interpreter loads for ``module``."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED, module], capture_output=True, text=True, check=True
    )
    found: Any = json.loads(run.stdout)
    return set(found)


def modules() -> list[str]:
    """The packages and modules right under edgenet that a device has."""
    found = [module.name for module in pkgutil.iter_modules(edgenet.__path__)]
    return [f"edgenet.{name}" for name in found if name not in ("host", "cli", "__main__")]


def test_edgenet_itself_loads_nothing() -> None:
    assert loaded_by("edgenet") == {"edgenet"}


def test_the_list_of_modules_is_found() -> None:
    assert {"edgenet.spec", "edgenet.stream", "edgenet.report"} <= set(modules())


@pytest.mark.parametrize("module", modules())
def test_a_device_module_loads_nothing_heavy(module: str) -> None:
    loaded = loaded_by(module)
    assert "edgenet" in loaded
    assert set() == loaded & {*HEAVY, *ENGINES, "click"}


@pytest.mark.parametrize("module", ["main", *COMMANDS])
def test_a_command_loads_nothing_heavy_before_it_runs(module: str) -> None:
    loaded = loaded_by(f"edgenet.cli.{module}")
    assert "click" in loaded
    assert set() == loaded & {*HEAVY, *ENGINES}


def test_the_help_imports_no_command() -> None:
    code = (
        "import sys; sys.argv = ['edgenet', '--help']\n"
        "from edgenet.cli.main import main, COMMANDS\n"
        "main(standalone_mode=False)\n"
        "names = [name for name in COMMANDS if f'edgenet.cli.{name}' in sys.modules]\n"
        "sys.exit(f'loaded {names}' if names or 'numpy' in sys.modules else 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "quantize" in run.stdout
