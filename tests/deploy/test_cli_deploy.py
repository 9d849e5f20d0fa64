from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standin import Device

from edgenet.cli.main import main
from edgenet.deploy import wheel as wheels

from .conftest import TINY

pytestmark = pytest.mark.tool("sshd")


@pytest.fixture
def deploy(pi: Device, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``edgenet deploy`` with a source that needs no camera."""
    monkeypatch.setattr(wheels, "own", lambda folder: Path(shutil.copy(wheel, folder)))
    monkeypatch.setattr("edgenet.deploy.device.STEADY_S", 0.1)

    def run(*words: str, bundle: Path | None = TINY) -> Result:
        first = [] if bundle is None else [str(bundle)]
        return CliRunner().invoke(main, ["deploy", *first, "device", *words])

    return run


def unit(pi: Device) -> str:
    return (pi.root / "opt/edgenet/current/edgenet.service").read_text()


def test_a_release_is_deployed_once_and_then_only_looked_at(deploy: Any, pi: Device) -> None:
    result = deploy("--source", "fake", "--smooth", "0.5", "--sink", "json", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["release"] == pi.running() == pi.current()
    assert (told["changed"], told["former"], told["model"], told["view"]) == (
        True,
        None,
        "tiny",
        None,
    )
    for stage in ("look at the device", "verify on the device", "switch", "tidy up"):
        assert stage in result.stderr
    assert "--source fake --smooth 0.5 --sink json\n" in unit(pi)
    assert "StandardOutput=journal" in unit(pi)
    calls = pi.calls

    again = deploy("--source", "fake", "--smooth", "0.5", "--sink", "json")
    assert again.exit_code == 0
    assert again.stdout == f"release {told['release']} of tiny runs on device, as before\n"
    assert pi.calls == calls
    for stage in ("verify", "switch", "carry"):
        assert stage not in again.stderr

    # a service that somebody stopped is started again
    pi.halt()
    assert pi.running() is None
    assert deploy("--source", "fake", "--smooth", "0.5", "--sink", "json").exit_code == 0
    assert pi.running() == told["release"]


def test_a_bad_release_goes_back_and_says_why_then_rollback_status_and_remove(
    deploy: Any, pi: Device
) -> None:
    assert deploy("--rollback", bundle=None).stderr == (
        "Error: nothing called edgenet is deployed on device; --name says which one is meant\n"
    )
    assert deploy("--source", "fake").exit_code == 0
    first = pi.running()
    assert "has no release before" in deploy("--rollback", bundle=None).stderr

    bad = deploy("--source", "fake", "--on", "ramps:1=no-such-command")
    assert bad.exit_code == 1
    assert "| Error: ramps:1=no-such-command: there is no command" in bad.stderr
    assert re.search(
        r"^Error: release \w{16} does not serve on device: it ended with exit code 2"
        rf" \(ramps:1=no-such-command: .*\); release {first} runs again$",
        bad.stderr, re.MULTILINE,
    ), bad.stderr  # fmt: skip
    assert "Traceback" not in bad.stderr
    assert pi.running() == pi.current() == first

    assert deploy("--source", "fake:320x240").exit_code == 0
    second = pi.running()
    status = deploy("--status", bundle=None)
    assert status.exit_code == 0
    assert status.stdout.startswith("edgenet on device: active since")
    assert re.search(
        rf"^{second} +current +tiny .*--source fake:320x240", status.stdout, re.MULTILINE
    )
    assert re.search(rf"^{first} +previous ", status.stdout, re.MULTILINE)
    found = json.loads(deploy("--status", "--json", bundle=None).stdout)
    assert (found["current"], found["previous"], found["enabled"]) == (second, first, True)

    assert deploy("--rollback", bundle=None).stdout == f"release {first} runs on device\n"
    assert pi.running() == first
    assert json.loads(deploy("--rollback", "--json", bundle=None).stdout)["release"] == second

    removed = deploy("--remove", bundle=None)
    assert removed.stdout.startswith("edgenet is removed from device")
    assert pi.running() is None
    left = [path for path in pi.root.rglob("*edgenet*") if "state" not in path.parts]
    assert left == []
    pi.boot()
    assert pi.running() is None


@pytest.mark.slow
def test_a_page_for_others_gets_a_token_that_only_root_may_read(deploy: Any, pi: Device) -> None:
    result = deploy("--source", "fake", "--view", "--view-host", "0.0.0.0", "--view-port", "8973")
    assert result.exit_code == 0, result.stderr
    (token,) = re.findall(r"\?token=(\S+)", result.stdout)
    (file,) = (pi.root / "opt/edgenet/secrets").iterdir()
    assert file.name == pi.current()
    assert file.stat().st_mode & 0o777 == 0o600
    assert f'\nEDGENET_VIEW_TOKEN="{token}"\n' in file.read_text()
    others = [path for path in (pi.root / "opt").rglob("*") if path.is_file() and path != file]
    assert not any(token.encode() in path.read_bytes() for path in others)
    again = deploy("--source", "fake", "--view", "--view-host", "0.0.0.0", "--view-port", "8973")
    assert token in again.stdout
    assert "as before" in again.stdout
    assert deploy("--source", "fake").exit_code == 0
    assert f"http://127.0.0.1:8973/?token={token}\n" in deploy("--rollback", bundle=None).stdout


@pytest.mark.slow
def test_a_token_of_ones_own_is_kept_and_never_printed(
    deploy: Any, pi: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--source", "fake", "--view", "--view-host", "0.0.0.0", "--view-port", "8974")
    own = "my.own~token-0123456789"
    monkeypatch.setenv("EDGENET_VIEW_TOKEN", own)
    said = deploy(*words).output
    monkeypatch.delenv("EDGENET_VIEW_TOKEN")
    again = deploy(*words, "--json")
    assert json.loads(again.stdout)["changed"] is False
    said += again.output + deploy("--status", bundle=None).output
    assert "token" not in said
    assert own in (pi.root / "opt/edgenet/secrets" / str(pi.current())).read_text()


@pytest.mark.slow
def test_a_password_of_a_camera_is_in_one_file_alone(deploy: Any, pi: Device) -> None:
    camera = "rtsp://guard:sesame@127.0.0.1:1/key"
    result = deploy("--source", camera, "--give-up", "0.5")
    assert "rtsp://127.0.0.1:1 cannot be reached" in result.stderr
    assert "sesame" not in result.output + deploy("--status", "--json", bundle=None).output
    holding = [
        path for path in (pi.root / "opt").rglob("*")
        if path.is_file() and b"sesame" in path.read_bytes()
    ]  # fmt: skip
    (file,) = holding
    assert file.parent == pi.root / "opt/edgenet/secrets"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_a_release_that_was_damaged_is_carried_anew(deploy: Any, pi: Device) -> None:
    assert deploy("--source", "fake").exit_code == 0
    first = str(pi.running())
    assert deploy("--source", "fake:320x240").exit_code == 0
    file = pi.root / "opt/edgenet/releases" / first / "bundle" / "labels.txt"
    kept = file.read_bytes()
    file.write_bytes(kept[:-4])
    result = deploy("--source", "fake")
    assert result.exit_code == 0, result.stderr
    assert pi.running() == first
    assert file.read_bytes() == kept


@pytest.mark.slow
def test_a_trial_that_nobody_ended_is_ended(deploy: Any, pi: Device) -> None:
    assert deploy("--source", "fake").exit_code == 0
    trial = pi.root / "run/systemd/system/edgenet.service"
    trial.write_text("[Service]\nExecStart=/bin/false\n")
    assert deploy("--source", "fake").exit_code == 0
    assert not trial.exists()
    assert pi.running() == pi.current()


def test_two_deployments_at_once_are_kept_apart(
    deploy: Any, pi: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgenet.deploy.device._PATIENCE_S", 0)
    base = pi.root / "opt/edgenet"
    base.mkdir()
    (base / ".edgenet").touch()
    with _held(base):
        result = deploy("--source", "fake")
    assert result.exit_code == 1
    assert "another deployment of edgenet to device is under way; wait" in result.stderr
    assert not (base / "environments").exists()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def test_an_engine_that_the_target_does_not_offer_is_refused_before_anything_is_sent(
    deploy: Any,
) -> None:
    result = deploy("--source", "fake", "--backend", "litert")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: pc has no choice of engine")


@pytest.mark.slow
def test_a_page_on_loopback_is_reached_through_ssh(deploy: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("EDGENET_MQTT_PASSWORD", "not needed, so not carried")
    told = json.loads(deploy("--source", "fake", "--view", "--view-port", "8971", "--json").stdout)
    assert told["view"] == {
        "url": "http://localhost:8971",
        "tunnel": "ssh -N -L 8971:localhost:8971 device",
    }


def test_what_is_not_edgenets_is_left_alone(deploy: Any, pi: Device) -> None:
    unit = pi.root / "etc/systemd/system/door.service"
    unit.write_text("[Service]\n")
    result = deploy("--source", "fake", "--name", "door")
    assert f"device has a {unit} that is not edgenet's; choose another --name" in result.stderr
    folder = pi.root / "opt" / "vc"
    folder.mkdir()
    (folder / "lib").touch()
    result = deploy("--source", "fake", "--name", "vc")
    assert f"device has a {folder} that is not edgenet's" in result.stderr
    assert deploy("--remove", "--name", "vc", bundle=None).exit_code == 1
    assert (folder / "lib").exists()


@pytest.mark.slow
def test_a_bundle_that_the_device_computes_otherwise_is_not_switched_to(
    deploy: Any, pi: Device
) -> None:
    assert deploy("--source", "fake").exit_code == 0
    first = pi.running()
    python = pi.root / "venv_python"
    kept = python.read_text()
    python.write_text(
        kept.replace(
            "#!/bin/sh\n",
            '#!/bin/sh\n[ "$4" = verify ] && { echo "Error: the logits differ" >&2; exit 1; }\n',
        )
    )
    try:
        shutil.rmtree(pi.root / "opt/edgenet/environments")
        result = deploy("--source", "fake:320x240")
    finally:
        python.write_text(kept)
    assert result.exit_code == 1
    assert "nothing was switched: the logits differ" in result.stderr
    assert pi.running() == pi.current() == first


@pytest.mark.slow
def test_a_user_without_sudo_is_told_what_to_allow(
    deploy: Any, pi: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = pi.commands / "id"
    identity.write_text("#!/bin/sh\necho 1000\n")
    identity.chmod(0o755)
    sudo = pi.commands / "sudo"
    kept = sudo.read_text()
    try:
        assert deploy("--source", "fake").exit_code == 0  # sudo -n does it
        sudo.write_text("#!/bin/sh\nexit 1\n")
        result = deploy("--source", "fake:320x240")
    finally:
        identity.unlink()
        sudo.write_text(kept)
    assert result.exit_code == 1
    assert "device is not root and may not use sudo without a password; allow it" in result.stderr


@pytest.mark.parametrize(
    ("words", "bundle", "sentence"),
    [
        ((), None, "name a bundle and a device: edgenet deploy BUNDLE USER@HOST"),
        (("--status",), TINY, "--status takes a device alone: edgenet deploy --status USER@HOST"),
        (("--status", "--remove"), None, "--status and --remove exclude one another; give one"),
        (("--source", "pictures"), TINY, "--source pictures ends by itself"),
        (("--view-port", "80"), TINY, "--view-port needs --view"),
        (("--sink", "foo:bar"), TINY, "no sink 'foo'"),
        (("--sink", "gpio:17=rams"), TINY, "did you mean 'ramps'?"),
        (("--sink", "gpio:x=ramps"), TINY, "is no pin and label"),
        (("--sink", "mqtt://broker"), TINY, "names no topic"),
        (("--sink", "https://host/#ever=1"), TINY, "did you mean 'every'?"),
        (("--sink", "json", "--sink", "csv"), TINY, "two sinks would share the journal"),
        (("--on", "bogus"), TINY, "'bogus' is no action"),
        (("--on", "rams:1=true"), TINY, "did you mean 'ramps'?"),
        (("--on", "ramps:1='"), TINY, "the command cannot be split into words"),
        (("--on", "rams:1=not-here"), TINY, "did you mean 'ramps'?"),
        (("--view", "--view-port", "0"), TINY, "--view-port 0 is another port after each start"),
        (("--name", "door-switch"), TINY, "'door-switch' is no name for a service"),
        (("--name", "No"), TINY, "'No' is no name for a service"),
        (("--variant", "fp32.tflit"), TINY, "did you mean 'fp32.tflite'?"),
        (("--source", "picam"), TINY, "device has no picamera2"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    deploy: Any, pi: Device, words: tuple[str, ...], bundle: Path | None, sentence: str
) -> None:
    result = deploy(*words, bundle=bundle)
    assert result.exit_code in (1, 2)
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert not (pi.root / "opt/edgenet").exists()


def test_a_bundle_for_a_target_of_ones_own_is_refused(
    deploy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgenet.target.names", lambda: ["rpi"])
    result = deploy("--source", "fake")
    assert "is for the target 'pc', which is not part of edgenet" in result.stderr


@pytest.mark.slow
def test_a_switch_that_is_under_way_is_not_disturbed(
    deploy: Any, pi: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deploy("--source", "fake").exit_code == 0
    (pi.root / "state/edgenet-switch.service.json").write_text('{"active": "activating"}')
    for words, bundle in ((("--source", "fake:320x240"), TINY), (("--rollback",), None)):
        result = deploy(*words, bundle=bundle)
        assert result.exit_code == 1
    assert (
        "still trying another release; wait for its end" in deploy("--source", "fake:64x64").stderr
    )


def test_a_machine_that_cannot_be_reached_is_a_sentence(deploy: Any) -> None:
    result = CliRunner().invoke(main, ["deploy", str(TINY), "127.0.0.1:1", "--source", "fake"])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: 127.0.0.1 refuses ssh; enable it there (sudo systemctl enable --now ssh), or name"
        " the port as user@host:port\n"
    )
