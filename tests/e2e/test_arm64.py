"""scripts/arm64: the wheels that a Pi installs compute what the host computed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "arm64"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *words], env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def arm64(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from emulated import arm64

    yield arm64
    for name in [name for name in sys.modules if name.partition(".")[0] == "emulated"]:
        del sys.modules[name]


emulation = [
    pytest.mark.slow,
    pytest.mark.tool("mmdebstrap"),
    pytest.mark.tool("qemu-aarch64-static"),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tree needs root"),
]


@pytest.mark.parametrize(
    "board",
    [pytest.param(name, marks=emulation) for name in ("pi3", "pi4", "pi5")],
)
def test_a_pi_computes_what_the_host_computed(board: str) -> None:
    done = run("--board", board, "edgenet", "verify", "tests/golden/tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "This machine computes what the host computed." in done.stdout
    assert done.stdout.count("ai-edge-litert") == 2


@pytest.mark.parametrize("where", [pytest.param("here", marks=emulation)])
def test_nothing_stays_mounted_and_the_exit_code_is_the_commands(where: str) -> None:
    before = Path("/proc/mounts").read_text(encoding="utf-8")
    done = run("python", "-c", "import platform, sys; print(platform.machine()); sys.exit(7)")
    assert (done.returncode, done.stdout) == (7, "aarch64\n")
    assert Path("/proc/mounts").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--board", "pi6", "true"], "no board 'pi6'; there are pi3, pi4, pi5"),
        (["--board", "pi5"], "no command; see scripts/arm64 --help"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (1, f"Error: {said}\n")


def test_tools_that_are_missing_are_named_with_their_packages(
    arm64: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if "qemu" in name else name)
    with pytest.raises(arm64.Failure, match="apt-get install qemu-user-static"):
        arm64.build()


def test_another_user_is_told_that_it_needs_root(
    arm64: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(arm64.Failure, match="needs root"):
        arm64.build()


def test_extras_are_followed_into_extras(arm64: ModuleType) -> None:
    names = arm64.requirements()
    assert not [name for name in names if name.startswith("edgenet")]
    for one in ("ai-edge-litert", "onnxruntime", "opencv", "aiohttp", "pytest"):
        assert any(name.startswith(one) for name in names), one
    assert not [name for name in names if name.startswith("torch")]


def test_the_environment_is_made_anew_when_its_words_change(
    arm64: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = arm64.digest()
    assert before == arm64.digest()
    monkeypatch.setattr(arm64, "PACKAGES", (*arm64.PACKAGES, "nano"))
    assert arm64.digest() != before


def test_tests_that_are_left_out_are_there(arm64: ModuleType) -> None:
    for name in arm64.LEFT_OUT:
        assert (ROOT / name).exists(), name
