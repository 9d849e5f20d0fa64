"""The device's own part: a release is tried, and kept or taken back, wherever it is cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standin import Device

from edgenet.deploy.layout import Layout
from edgenet.deploy.switch import Switch

# a service of few milliseconds: says that it is ready, and goes on until it is told to end
READY = (
    "import os, signal, socket;"
    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
    "s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1'); signal.pause()"
)
DIES = "print('Error: no camera', flush=True); raise SystemExit(5)"
DIES_SOON = READY.replace("signal.pause()", "raise SystemExit(6)")

TRY = """
import os, signal, sys
from edgenet.deploy.layout import Layout
from edgenet.deploy.switch import Switch

def on_step(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

Switch(Layout("edgenet", sys.argv[1]), sys.argv[2], steady_s=0.1).attempt(on_step)
"""


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    device = Device(tmp_path)
    monkeypatch.setenv("PATH", f"{device.commands}:{os.environ['PATH']}")
    add(device, "old", READY)
    add(device, "new", READY)
    yield device
    device.halt()


def add(pi: Device, release: str, code: str) -> None:
    layout = Layout("edgenet", str(pi.root))
    folder = Path(layout.release(release))
    folder.mkdir(parents=True)
    command = f'{sys.executable} -IS -c "{code}" run {folder}/bundle'
    Path(folder, layout.service).write_text(f"[Service]\nExecStart={command}\n")


def attempt(pi: Device, release: str) -> bool:
    """What systemd does: try, and then settle."""
    switch = Switch(Layout("edgenet", str(pi.root)), release, steady_s=0.1)
    good = switch.attempt()
    Switch(Layout("edgenet", str(pi.root)), release, steady_s=0.1).settle()
    return good


def outcome(pi: Device) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pi.root / "opt/edgenet/outcome.json").read_text())
    return found


def test_a_release_that_serves_is_kept_and_started_by_a_boot(pi: Device) -> None:
    for release in ("old", "new"):
        assert attempt(pi, release)
        assert outcome(pi)["state"] == "running"
        assert pi.running() == pi.current() == release
    assert (pi.root / "opt/edgenet/previous").readlink() == Path("releases/old")
    pi.boot()
    assert pi.running() == "new"
    assert attempt(pi, "old")
    assert (pi.root / "opt/edgenet/previous").readlink() == Path("releases/new")


@pytest.mark.parametrize(
    ("code", "why"),
    [(DIES, "it ended with exit code 5"), (DIES_SOON, "it did not go on after its first frame")],
)
def test_a_release_that_does_not_serve_is_taken_back(pi: Device, code: str, why: str) -> None:
    attempt(pi, "old")
    add(pi, "bad", code)
    assert not attempt(pi, "bad")
    told = outcome(pi)
    assert (told["state"], told["reason"], told["runs"]) == ("taken back", why, "old")
    assert ("Error: no camera" in told["journal"]) is (code is DIES)
    assert pi.running() == pi.current() == "old"
    pi.boot()
    assert pi.running() == "old"


def test_a_first_release_that_does_not_serve_leaves_nothing(pi: Device) -> None:
    add(pi, "bad", DIES)
    assert not attempt(pi, "bad")
    assert (outcome(pi)["former"], outcome(pi)["runs"]) == (None, None)
    assert pi.running() is pi.current() is None
    assert pi.calls[-1] == "reset-failed edgenet.service"
    pi.boot()
    assert pi.running() is None


def test_a_former_release_that_does_not_start_either_is_said(pi: Device) -> None:
    attempt(pi, "old")
    add(pi, "bad", DIES)
    unit = pi.root / "opt/edgenet/releases/old/edgenet.service"
    unit.write_text((pi.root / "opt/edgenet/releases/bad/edgenet.service").read_text())
    assert not attempt(pi, "bad")
    assert (outcome(pi)["former"], outcome(pi)["runs"]) == ("old", None)


def killed(pi: Device, release: str, before: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", TRY, str(pi.root), release, before],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL, run.stderr


@pytest.mark.parametrize(
    ("step", "boots"),
    [
        ("note", "old"),
        ("put", "old"),
        ("start", "old"),
        ("observe", "old"),
        ("commit", "old"),
        ("finish", "new"),
        ("end", "new"),
    ],
)
def test_a_power_cut_within_the_switch_boots_what_had_proved_itself(
    pi: Device, step: str, boots: str
) -> None:
    attempt(pi, "old")
    killed(pi, "new", step)
    pi.boot()
    assert pi.running() == pi.current() == boots
    assert not Path(Layout("edgenet", str(pi.root)).trial).exists()


@pytest.mark.parametrize("step", ["note", "put", "start", "observe", "commit", "finish", "end"])
def test_a_switch_that_is_killed_is_settled_by_systemd(pi: Device, step: str) -> None:
    attempt(pi, "old")
    killed(pi, "new", step)
    Switch(Layout("edgenet", str(pi.root)), "new", steady_s=0.1).settle()
    expected = "new" if step in ("finish", "end") else "old"
    assert pi.running() == pi.current() == expected
    assert not Path(Layout("edgenet", str(pi.root)).trial).exists()
    pi.boot()
    assert pi.running() == expected


SETTLE = """
import os, signal, sys
from edgenet.deploy import switch
from edgenet.deploy.layout import Layout

left, real = int(sys.argv[3]), switch._systemctl

def dying(*words):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*words)

switch._systemctl = dying
switch.Switch(Layout("edgenet", sys.argv[1]), sys.argv[2], steady_s=0.1).settle()
"""


def settle(pi: Device, release: str) -> None:
    Switch(Layout("edgenet", str(pi.root)), release, steady_s=0.1).settle()


@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize(
    ("former", "step", "expected"),
    [("old", "observe", "old"), ("old", "start", "old"), (None, "observe", None)],
)
def test_a_settling_that_is_killed_can_be_done_again(
    pi: Device, former: str | None, step: str, expected: str | None, calls: int
) -> None:
    if former:
        attempt(pi, former)
    killed(pi, "new", step)
    run = subprocess.run(
        [sys.executable, "-c", SETTLE, str(pi.root), "new", str(calls)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL, run.stderr
    settle(pi, "new")
    told = outcome(pi)
    assert (told["release"], told["state"]) == ("new", "taken back")
    assert (told["former"], told["runs"]) == (former, expected)
    assert pi.running() == pi.current() == expected
    assert not Path(Layout("edgenet", str(pi.root)).trial).exists()


def test_a_release_that_was_kept_is_said_to_run_though_settling_was_killed(pi: Device) -> None:
    attempt(pi, "old")
    killed(pi, "new", "finish")
    run = subprocess.run([sys.executable, "-c", SETTLE, str(pi.root), "new", "0"], check=False)
    assert run.returncode == -signal.SIGKILL
    settle(pi, "new")
    assert (outcome(pi)["release"], outcome(pi)["state"]) == ("new", "running")
    assert pi.running() == pi.current() == "new"


@pytest.mark.parametrize("broken", [None, "", "{", "[]", '{"release": "another"}'])
def test_a_release_is_taken_back_though_nothing_says_how_it_went(
    pi: Device, broken: str | None
) -> None:
    attempt(pi, "old")
    killed(pi, "new", "observe")
    file = pi.root / "opt/edgenet/outcome.json"
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    settle(pi, "new")
    assert pi.running() == pi.current() == "old"
    assert outcome(pi)["reason"] == "the switch was interrupted"


def test_the_current_release_that_no_longer_serves_is_not_said_to_run(pi: Device) -> None:
    attempt(pi, "old")
    add(pi, "bad", DIES)
    unit = pi.root / "opt/edgenet/releases/old/edgenet.service"
    unit.write_text((pi.root / "opt/edgenet/releases/bad/edgenet.service").read_text())
    assert not attempt(pi, "old")
    assert (outcome(pi)["state"], outcome(pi)["runs"]) == ("taken back", None)
