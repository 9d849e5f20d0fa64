"""A new user's first hour: the README's commands, in its order, in a folder with pictures."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

from edgenet.dataset import open_dataset  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.torch,
    pytest.mark.tool("arm-none-eabi-gcc"),
    pytest.mark.tool("qemu-system-arm"),
]

README = Path(__file__).parent.parent.parent / "README.md"
USES = (
    README.read_text(encoding="utf-8")
    .partition("## What it is for")[2]
    .partition("## Installing")[0]
)
# those that need a Pi: test_pi_vm.py
DEVICE = "pi@raspberrypi.local"
# a model of a minute, which need not be good
SHORTER = {
    "train": ["--epochs", "1", "--alpha", "0.25", "--imgsz", "32"],
    "evaluate": ["--limit", "top1_drop=100", "--limit", "agreement=0"],
    "profile": ["--num-runs", "3", "--min-secs", "0.1"],
}


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"^```bash\n(.*?)^```", USES, flags=re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if DEVICE not in line:
                yield shlex.split(line, comments=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three classes of pictures, and one picture beside it."""
    digits = open_dataset("digits").splits["train"]
    chosen = [i for i in range(len(digits)) if digits.targets[i] < 3][:180]
    for i in chosen:
        example = digits[i]
        place = tmp_path / "flowers" / f"kind{example.label}"
        place.mkdir(parents=True, exist_ok=True)
        large = cv2.resize(np.asarray(example.rgb), (60, 50), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(place / f"{i}.png"), large)
    assert cv2.imwrite(str(tmp_path / "photo.jpg"), large)
    return tmp_path


def test_the_commands_of_the_readme_run_in_order(folder: Path) -> None:
    ran = []
    for program, command, *rest in commands():
        assert program == "edgenet"
        if ">" in rest:
            *rest, _, _ = rest
        shorter = [] if "--board" in rest else SHORTER.get(command, [])
        if "--qat" in rest:  # what --init says cannot change
            shorter = ["--epochs", "1"]
        line = [sys.executable, "-m", program, command, *rest, *shorter]
        run = subprocess.run(
            line,
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{shlex.join(line)}\n{run.stdout}\n{run.stderr}"
        assert run.stdout, shlex.join(line)
        ran.append(command)
    asked = {"train", "quantize", "export", "evaluate", "verify", "run", "info", "fit", "profile"}
    assert asked == set(ran)
    assert (folder / "profile.html").stat().st_size > 10_000
    assert (folder / "flowers-rpi" / "manifest.json").is_file()
