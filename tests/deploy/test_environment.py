from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loopback import Sshd
from standin import Device

from edgenet.deploy import environment
from edgenet.deploy import wheel as wheels
from edgenet.deploy.environment import Environment, Recipe
from edgenet.deploy.facts import Facts
from edgenet.errors import DeployError
from edgenet.remote import Remote, connection

from .conftest import GOOD

pytestmark = pytest.mark.tool("sshd")


def recipe(wheel: Path, extras: tuple[str, ...] = ("rpi",), **changed: Any) -> Recipe:
    return Recipe(msgspec.convert(GOOD | changed, Facts), wheel, extras)


@pytest.fixture
def made(pi: Device, wheel: Path) -> tuple[Recipe, Environment]:
    """What is made on the stand-in."""
    what = recipe(wheel, executable=f"{pi.root}/usr/bin/python3", pinned={"numpy": "1.24.2"})
    return what, what.environment(f"{pi.root}/state/environments")


def test_an_environment_is_found_by_all_that_it_is_made_from(wheel: Path, tmp_path: Path) -> None:
    other = tmp_path / wheel.name
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("edgenet/__init__.py", "version = 2")
    recipes = [
        recipe(wheel),
        recipe(other),
        recipe(wheel, ("rpi", "view")),
        recipe(wheel, python=(3, 11, 3)),
        recipe(wheel, machine="x86_64"),
        recipe(wheel, libc_version=(2, 41)),
        recipe(wheel, pinned={"numpy": "1.24.2"}),
        recipe(wheel, executable="/usr/local/bin/python3"),
    ]
    assert len({one.environment("/x").digest for one in recipes}) == len(recipes)
    assert recipe(wheel).environment("/x") == recipe(wheel, free=5).environment("/x")


def test_pip_is_kept_from_what_the_system_was_built_against(
    pi: Device, made: tuple[Recipe, Environment]
) -> None:
    what, where = made
    said: list[str] = []
    with Remote("device") as remote:
        assert not environment.is_made(remote, where)
        environment.make(remote, what, where, as_root=True, on_stage=said.append)
        assert environment.is_made(remote, where)
    (install, freeze) = (pi.root / "state/pip").read_text().splitlines()
    for words in ("--only-binary :all:", f"--constraint {where.folder}.wheels/constraints.txt"):
        assert words in install
    assert install.endswith(f"{where.folder}.wheels/{what.wheel.name}[rpi]")
    assert "--no-index" not in install
    assert freeze.startswith("-P -m pip list")
    assert what.constraints == "numpy==1.24.2\n"
    assert not Path(f"{where.folder}.wheels").exists()
    assert said == ["carrying wheels to the device", "installing on the device"]


def test_an_environment_that_was_left_half_made_is_made_anew(
    pi: Device, made: tuple[Recipe, Environment]
) -> None:
    what, where = made
    Path(where.folder, "bin").mkdir(parents=True)
    Path(where.folder, "left over").touch()
    with Remote("device") as remote:
        assert not environment.is_made(remote, where)
        environment.make(remote, what, where)
    assert not Path(where.folder, "left over").exists()


@pytest.mark.parametrize(
    ("said", "offline", "sentence"),
    [
        (
            "WARNING: Retrying after connection broken: Failed to establish a new connection",
            False,
            "device cannot reach the package index; carry the wheels from here with --offline",
        ),
        ("OSError: [Errno 28] No space left on device", False, "device has no space left"),
        (
            "ERROR: No matching distribution found for x==1",
            True,
            "nothing could be installed on device: No matching distribution found for x==1",
        ),
    ],
)
def test_what_pip_says_becomes_a_sentence(
    pi: Device, made: tuple[Recipe, Environment], said: str, offline: bool, sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    what, where = made
    python = pi.root / "venv_python"
    kept = python.read_text()
    python.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    monkeypatch.setattr(environment, "_fetch", lambda *given: None)
    try:
        with Remote("device") as remote, pytest.raises(DeployError, match=sentence):
            environment.make(remote, what, where, offline=offline)
        with Remote("device") as remote:
            assert not environment.is_made(remote, where)
    finally:
        python.write_text(kept)


def test_no_room_is_said_before_anything_is_carried(
    pi: Device, made: tuple[Recipe, Environment]
) -> None:
    what, where = made
    small = Recipe(msgspec.structs.replace(what.facts, free=10**8), what.wheel, what.extras)
    with Remote("device") as remote, pytest.raises(DeployError, match="has 100 MB free"):
        environment.make(remote, small, where)
    assert not Path(where.folder).parent.exists()


def test_wheels_are_asked_for_as_the_device_takes_them(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.extend(words)
        return subprocess.CompletedProcess(words, 1, "", "ERROR: no such wheel\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DeployError, match=r"Python 3\.11\.2 on aarch64: no such wheel"):
        environment._fetch(recipe(wheel), f"{wheel}[rpi]", tmp_path)
    text = " ".join(asked)
    assert f"{sys.executable} -m pip download" in text
    assert "--python-version 3.11.2 --abi cp311 --abi abi3 --abi none" in text
    platforms = [asked[i + 1] for i, word in enumerate(asked) if word == "--platform"]
    assert platforms[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64"} < set(platforms)
    assert "manylinux_2_37_aarch64" not in platforms


@pytest.mark.slow
@pytest.mark.network
def test_an_environment_is_made_for_a_user_once_and_runs_edgenet(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built = wheels.own(tmp_path)  # once, since somebody may be at work on edgenet meanwhile
    monkeypatch.setattr(wheels, "own", lambda folder: Path(shutil.copy(built, folder)))
    monkeypatch.setenv(connection.CONFIG, str(sshd.config))
    said: list[str] = []
    with Remote("device") as remote:
        python = environment.ensure(remote, extra="rpi", offline=True, on_stage=said.append)
        assert python.startswith(str(sshd.folder / "home"))
        assert "fetching wheels for the device" in said
        for module in ("edgenet", "cv2", "ai_edge_litert.interpreter", "aiohttp"):
            remote.run([python, "-c", f"import {module}"])
        again: list[str] = []
        assert environment.ensure(remote, offline=True, on_stage=again.append) == python
    assert again == ["asking the device what it has", "packing edgenet"]
