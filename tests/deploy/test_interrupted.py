"""A deployment that is killed anywhere leaves the device running what it ran."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from standin import Device

from edgenet.deploy.layout import Layout

from .conftest import TINY

pytestmark = pytest.mark.tool("sshd")

DEPLOY = """
import os, shutil, signal, sys
from pathlib import Path
from edgenet import target
from edgenet.bundle import Bundle
from edgenet.cli.deploy import ROOT
from edgenet.deploy import wheel
from edgenet.deploy.device import Device
from edgenet.deploy.layout import Layout
from edgenet.deploy.service import Service
from edgenet.deploy.steps import Deployment
from edgenet.remote import Remote

_, tiny, built, source, die_before = sys.argv
wheel.own = lambda folder: Path(shutil.copy(built, folder))

def on_stage(stage):
    print(stage, flush=True)
    if stage == die_before:
        os.kill(os.getpid(), signal.SIGKILL)

with Remote("device") as remote:
    deployed = Deployment(
        Device(remote, Layout("edgenet", os.environ[ROOT])), Bundle.open(tiny), Service(source),
        target.load("pc"), steady_s=0.1, on_stage=on_stage,
    ).run()
print("release", deployed.release.digest)
"""
STEPS = [
    "look at the device", "pack edgenet", "make the environment", "carrying wheels to the device",
    "installing on the device", "carry the release", "verify on the device", "switch",
]  # fmt: skip


def deploy(wheel: Path, source: str, die_before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DEPLOY, str(TINY), str(wheel), source, die_before],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def release(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stderr
    return run.stdout.split()[-1]


@pytest.fixture
def old(pi: Device, wheel: Path) -> str:
    """The digest of a release that runs."""
    digest = release(deploy(wheel, "fake"))
    assert pi.running() == pi.current() == digest
    return digest


def test_killed_before_any_step_the_device_runs_the_old_release(
    pi: Device, wheel: Path, old: str, tmp_path: Path
) -> None:
    other = tmp_path / wheel.name  # another edgenet, so that an environment has to be made
    other.write_bytes(wheel.read_bytes())
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("edgenet/new.py", "")
    calls = len(pi.calls)
    for step in STEPS:
        run = deploy(other, "fake:320x240", step)
        assert run.returncode == -signal.SIGKILL, (step, run.stderr)
        assert run.stdout.split("\n")[-2] == step
        assert pi.running() == pi.current() == old, step
    # no process was ever told anything, and none was started again
    assert pi.calls[calls:] == []
    pi.boot()
    assert pi.running() == old

    run = deploy(other, "fake:320x240", "tidy up")
    assert run.returncode == -signal.SIGKILL
    new = pi.running()
    assert old != new == pi.current()
    assert release(deploy(other, "fake:320x240")) == new


@pytest.mark.slow
def test_a_switch_goes_on_without_the_process_that_began_it(
    pi: Device, wheel: Path, old: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DEPLOY, str(TINY), str(wheel), "fake:320x240", ""],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line == "switch\n":
            break
    while not pi.switching():
        assert process.poll() is None
    process.kill()
    process.wait()
    process.stdout.close()
    pi.settled()
    assert old != pi.current() == pi.running()
    assert not Path(Layout("edgenet", str(pi.root)).trial).exists()
