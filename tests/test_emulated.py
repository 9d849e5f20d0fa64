"""The scripts that stand for a Pi, as far as they go without emulating anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package in scripts, with its modules as attributes."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    for name in ("host", "recipe", "image", "machine", "summary"):
        import_module(f"emulated.{name}")
    yield sys.modules["emulated"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "emulated"]:
        del sys.modules[name]


@pytest.fixture
def machine(emulated: ModuleType, tmp_path: Path) -> object:
    """A machine whose image is a folder with keys alone."""
    keys = tmp_path / "image" / "keys"
    keys.mkdir(parents=True)
    (keys / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAA comment\n")
    return emulated.machine.Machine(emulated.image.Image(keys.parent), tmp_path / "state of one")


def test_the_image_is_made_anew_when_the_recipe_changes(
    emulated: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = emulated.recipe
    before = recipe.digest()
    monkeypatch.setattr(recipe, "PACKAGES", (*recipe.PACKAGES, "nano"))
    assert recipe.digest() != before


def test_modules_come_after_those_that_they_need(emulated: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules" / "6.1.0"
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(
        "fs/ext4.ko: lib/crc16.ko fs/jbd2.ko\nfs/jbd2.ko: lib/crc16.ko\nlib/crc16.ko:\n"
        "drivers/crct10dif-ce.ko:\n"
    )
    ordered = emulated.image.needed(tmp_path, ("ext4", "crct10dif_ce"))
    assert ordered == ["lib/crc16.ko", "fs/jbd2.ko", "fs/ext4.ko", "drivers/crct10dif-ce.ko"]


def test_a_stage_that_failed_is_done_again_and_those_before_it_are_kept(
    emulated: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, done = emulated.image, []

    def make(name: str, *, fails: bool = False) -> object:
        def stage(draft: Path) -> None:
            draft.mkdir() if name in ("keys", "kernel_tree", "tree") else draft.touch()
            done.append(name)
            if fails:
                raise KeyboardInterrupt

        return stage

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("demand", "demand_root", "emulate"):
        monkeypatch.setattr(emulated.host, name, lambda *_: None)
    monkeypatch.setattr(image, "vmlinuz", lambda part: __file__)
    monkeypatch.setattr(image, "make_keys", make("keys"))
    monkeypatch.setattr(image, "unpack_kernel", make("kernel_tree"))
    monkeypatch.setattr(image, "install", make("tree", fails=True))
    monkeypatch.setattr(image, "make_initrd", make("initrd"))
    monkeypatch.setattr(image, "make_disk", make("disk"))
    with pytest.raises(KeyboardInterrupt):
        image.build()
    assert not image.current().built
    monkeypatch.setattr(image, "install", make("tree"))
    assert image.build().built
    assert done == ["keys", "kernel_tree", "tree", "tree", "initrd", "disk"]
    image.build()
    assert len(done) == 6
    left = {path.name for path in image.current().folder.iterdir()}
    assert left == {"keys", "initrd", "kernel", "disk.raw"}


def test_a_second_build_beside_the_first_is_refused(emulated: ModuleType, tmp_path: Path) -> None:
    host = emulated.host
    lock = tmp_path / "image.lock"
    with (
        host.locked(lock),
        pytest.raises(host.Failure, match="another process works on"),
        host.locked(lock),
    ):
        pass
    with host.locked(lock):
        pass


def test_ssh_trusts_the_one_key_and_asks_nothing(machine: object) -> None:
    machine.state.mkdir()
    machine._write_ssh(2222)
    said = subprocess.run(
        ["ssh", "-G", "-F", machine.ssh_config, "pi"], capture_output=True, text=True, check=True
    ).stdout
    found = dict(line.partition(" ")[::2] for line in said.splitlines())
    assert (found["hostname"], found["port"], found["user"]) == ("127.0.0.1", "2222", "pi")
    assert (found["stricthostkeychecking"], found["batchmode"]) == ("true", "yes")
    assert (machine.state / "known_hosts").read_text() == "pi ssh-ed25519 AAAA\n"
    assert found["userknownhostsfile"] == str(machine.state / "known_hosts")


def test_a_number_that_names_another_process_is_not_the_machine(machine: object) -> None:
    machine.state.mkdir()
    (machine.state / "pid").write_text("1\n")
    assert machine.pid() is None
    machine.unplug()  # ends nothing
    assert Path("/proc/1").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["start"], "there is no image of this recipe; run: scripts/pi_vm build"),
        (["ssh"], "the virtual Pi does not run; run: scripts/pi_vm start"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("qemu-system-aarch64", "qemu-img", "ssh"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = subprocess.run(
        [ROOT / "scripts" / "pi_vm", "--state", tmp_path / "state", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, f"Error: {said}\n")


def test_a_mirror_is_taken_from_apt_or_from_the_environment(
    emulated: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = emulated.host
    listed = (
        "Debian Debian-Security main http://one/security/\nDebian Debian contrib http://two/\n"
        "Debian Debian main http://three/debian/\n"
    )
    monkeypatch.delenv("EDGENET_DEBIAN_MIRROR", raising=False)
    monkeypatch.setattr(host, "run", lambda command: listed)
    assert host.mirror() == "http://three/debian"
    monkeypatch.setattr(host, "run", lambda command: "Ubuntu Ubuntu main http://four/\n")
    with pytest.raises(host.Failure, match="EDGENET_DEBIAN_MIRROR"):
        host.mirror()
    monkeypatch.setenv("EDGENET_DEBIAN_MIRROR", "http://five/debian")
    assert host.mirror() == "http://five/debian"


def test_the_page_says_what_the_record_says(emulated: ModuleType, tmp_path: Path) -> None:
    summary = emulated.summary
    record = tmp_path / "record.json"
    machine = {"kernel": "Linux 6", "systemd": "252", "python": "3.11", "packages": {"numpy": "1"}}
    steps = [{"what": "boots", "seconds": 34}]
    record.write_text(
        json.dumps({"date": "2026-01-01", "commit": "abc", "machine": machine, "steps": steps})
    )
    assert "| boots | 34 |" in summary.page(summary.table(record))


def test_the_page_is_up_to_date(emulated: ModuleType) -> None:
    summary = emulated.summary
    if not summary.RECORD.exists():
        pytest.skip("not recorded yet")
    assert summary.page(summary.table()) == summary.PAGE.read_text(encoding="utf-8"), (
        "run scripts/pi_vm test --record"
    )
