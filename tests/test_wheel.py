"""edgenet as a device has it: the wheel and the four packages that it always needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from edgenet import __version__, bundle
from edgenet.spec import ModelSpec, Preprocess, TensorSpec

ROOT = Path(__file__).parent.parent
LIGHT = ("numpy", "click", "msgspec", "packaging")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "build")


class Device:
    """An environment without pip, torch or the sources."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=os.name != "nt")
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.packages = next(folder.glob("lib/python*/site-packages"))

    def copy(self, name: str) -> None:
        """Install a distribution that this process has, without network."""
        for file in metadata.files(name) or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (self.packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), self.packages / file)

    def __call__(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run ``edgenet`` or ``python`` of this environment, away from the sources."""
        return subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=self.folder,
            env={"PATH": os.defpath, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, built from a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("edgenet", "targets"):
        shutil.copytree(ROOT / name, tree / name, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tree / "dist", tree],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    device = Device(tmp_path_factory.mktemp("device") / "venv")
    for name in LIGHT:
        device.copy(name)
    pip = [sys.executable, "-m", "pip", "--python", device.python, "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    yield device
    shutil.rmtree(device.folder)


@pytest.fixture
def small_bundle(tmp_path: Path) -> Path:
    """A well-formed bundle around a file that no engine is asked to open."""
    logits = TensorSpec("logits", (1, 2), "int8", (0.1,), (0,))
    pixels = TensorSpec("pixels", (1, 4, 4, 3), "int8", (1 / 255,), (-128,))
    inputs = np.zeros((1, 4, 4, 3), np.uint8)
    golden = bundle.Golden(inputs, inputs, {"int8.tflite": np.zeros((1, 2), np.int8)})
    return bundle.write(
        tmp_path / "bundle",
        name="small",
        target="rpi",
        spec=ModelSpec("mobilenet_v1", 0.25, ("cat", "dog"), Preprocess(4, 4)),
        models={"int8.tflite": b"a model"},
        tensors={"int8.tflite": ((pixels,), (logits,))},
        golden=golden,
        calibration=None,
        drift=None,
        versions={},
        command="",
    ).root


def test_the_wheel_holds_every_file_of_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    tree = set()
    for name, there in (("edgenet", "edgenet"), ("targets", "edgenet/targets")):
        for path in (ROOT / name).rglob("*"):
            relative = path.relative_to(ROOT / name)
            if path.is_file() and not {"__pycache__", "build"} & set(relative.parts):
                tree.add(f"{there}/{relative.as_posix()}")
    assert tree == held
    assert "edgenet/targets/rpi/target.toml" in held


def test_the_wheel_needs_four_packages_and_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"edgenet-{__version__}.dist-info"
        said = archive.read(f"{info}/METADATA").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    needs = [line for line in said.splitlines() if line.startswith("Requires-Dist")]
    always = [line.split()[1] for line in needs if "extra ==" not in line]
    assert [name.split(">")[0].split("<")[0] for name in always] == list(LIGHT)
    assert "Apache License" in licence


def test_torch_is_not_there(device: Device) -> None:
    run = device("python", "-c", "import torch")
    assert "ModuleNotFoundError: No module named 'torch'" in run.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["--version"], __version__),
        (["--help"], "quantize"),
        (["targets"], "rpi"),
        (["info", "mobilenet_v1"], "568,740,352"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_that_need_nothing_more_run(
    device: Device, command: list[str], words: str
) -> None:
    run = device("edgenet", *command)
    assert run.returncode == 0, run.stderr
    assert words in run.stdout
    assert "Traceback" not in run.stderr


def test_doctor_says_what_is_missing_and_ends_with_1(device: Device) -> None:
    run = device("edgenet", "doctor")
    assert run.returncode == 1
    assert f"numpy {metadata.version('numpy')}" in run.stdout
    assert "'edgenet[litert]'" in run.stdout
    assert "this machine cannot run bundles yet" in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--data", "digits", "-o", "run"],
        ["export", "--target", "rpi"],
        ["demo"],
    ],
    ids=lambda command: command[0],
)
def test_commands_that_need_the_host_extra_say_so(device: Device, command: list[str]) -> None:
    run = device("edgenet", *command)
    assert run.returncode == 1
    assert "is not installed; run: pip install 'edgenet[host]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_bundle_opens_and_its_hashes_are_checked(device: Device, small_bundle: Path) -> None:
    code = "import sys; from edgenet.bundle import Bundle; print(Bundle.open(sys.argv[1]).labels)"
    run = device("python", "-c", code, small_bundle)
    assert (run.returncode, run.stdout) == (0, "('cat', 'dog')\n"), run.stderr

    model = small_bundle / "models" / "int8.tflite"
    model.write_bytes(b"A model")
    run = device("python", "-c", code, small_bundle)
    assert run.returncode != 0
    assert "int8.tflite: sha256 is" in run.stderr


def test_verify_without_an_engine_says_what_to_install(device: Device, small_bundle: Path) -> None:
    run = device("edgenet", "verify", str(small_bundle))
    assert run.returncode != 0
    assert "pip install 'edgenet[" in run.stderr + run.stdout
    assert "Traceback" not in run.stderr
