"""One virtual Pi: a process of QEMU, a disk over the image's, and the way in by ssh."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import host, recipe
from .host import Failure, say
from .image import Image

ALIAS = "pi"
BOOT_SECONDS = 900
STOP_SECONDS = 120
TOOLS = ("qemu-system-aarch64", "qemu-img", "ssh")


def default_state() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "edgenet" / "pi_vm"


class Machine:
    """A machine whose disk and ssh configuration lie in one folder."""

    def __init__(self, image: Image, state: Path) -> None:
        self.image = image
        self.state = state.absolute()

    @property
    def ssh_config(self) -> Path:
        """For ``ssh -F``: the host ``pi``, with its own key and known host, strictly."""
        return self.state / "ssh_config"

    @property
    def disk(self) -> Path:
        return self.state / "disk.qcow2"

    @property
    def console(self) -> Path:
        return self.state / "console.log"

    def pid(self) -> int | None:
        """The process of QEMU, if it runs; a number that now names another process is not it."""
        try:
            number = int((self.state / "pid").read_text(encoding="ascii"))
            said = Path(f"/proc/{number}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return number if str(self.disk).encode() in said else None

    def start(self, *, online: bool = False, memory_mib: int = 1024) -> float:
        """Boots until ssh answers; seconds that took.

        Args:
            online: whether the machine reaches the network beyond this host; as a rule it does not.
            memory_mib: its memory.

        Raises:
            Failure: the image is missing, the machine runs already, or does not come up.
        """
        host.demand(*TOOLS)
        if not self.image.built:
            raise Failure("there is no image of this recipe; run: scripts/pi_vm build")
        if self.pid() is not None:
            raise Failure("the virtual Pi runs already; scripts/pi_vm stop ends it")
        self.state.mkdir(parents=True, exist_ok=True)
        self._overlay()
        port = free_port()
        self._write_ssh(port)
        began = time.monotonic()
        self._launch(port, online=online, memory_mib=memory_mib)
        say("booting; one to four minutes")
        self.wait(BOOT_SECONDS)
        return time.monotonic() - began

    def _overlay(self) -> None:
        """A disk that holds what differs from the image; kept until reset."""
        if not self.disk.exists():
            create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"]
            host.run([*create, "-b", self.image.disk, self.disk])
            return
        told = json.loads(host.run(["qemu-img", "info", "--output=json", self.disk]))
        if told["backing-filename"] != str(self.image.disk):
            raise Failure("the disk belongs to an older image; run: scripts/pi_vm reset")

    def _write_ssh(self, port: int) -> None:
        """The configuration and the one known host that ``ssh -F`` needs."""
        known = self.state / "known_hosts"
        known.write_text(f"{ALIAS} {self.image.host_key}\n", encoding="ascii")
        lines = [
            f"Host {ALIAS}",
            "  HostName 127.0.0.1",
            f"  Port {port}",
            f"  User {recipe.USER}",
            f'  IdentityFile "{self.image.identity}"',
            "  IdentitiesOnly yes",
            f"  HostKeyAlias {ALIAS}",
            f'  UserKnownHostsFile "{known}"',
            "  GlobalKnownHostsFile none",
            "  StrictHostKeyChecking yes",
            "  BatchMode yes",
            "  ConnectTimeout 120",
        ]
        self.ssh_config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _launch(self, port: int, *, online: bool, memory_mib: int) -> None:
        network = f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"
        if not online:
            network += ",restrict=on"
        host.run(
            [
                "qemu-system-aarch64", "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", "virt,gic-version=3", "-cpu", "cortex-a72", "-smp", "2",
                "-accel", "tcg,thread=multi,tb-size=512", "-m", str(memory_mib),
                "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd),
                "-append", "console=ttyAMA0 root=/dev/vda rw quiet mitigations=off audit=0",
                "-drive", f"file={self.disk},if=none,id=disk,format=qcow2,cache=unsafe",
                "-device", "virtio-blk-pci,drive=disk",
                "-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=",
                "-device", "virtio-rng-pci",
                "-serial", f"file:{self.console}",
                "-daemonize", "-pidfile", str(self.state / "pid"),
            ]
        )  # fmt: skip

    def wait(self, seconds: float) -> None:
        """Returns when ssh answers.

        Raises:
            Failure: it does not within the time, or QEMU ended.
        """
        began = told = time.monotonic()
        while not self._answers():
            now = time.monotonic()
            if self.pid() is None:
                raise Failure(f"QEMU ended; the console is in {self.console}")
            if now - began > seconds:
                raise Failure(f"no answer in {seconds:.0f} s; the console is in {self.console}")
            if now - told > 30:
                say(f"      {now - began:.0f} s, not yet")
                told = now
            time.sleep(2)

    def _answers(self) -> bool:
        done = self.ssh(["true"], capture_output=True)
        return done.returncode == 0

    def ssh(
        self, command: Sequence[str] = (), *, tty: bool = False, capture_output: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command there as pi, or a shell without one."""
        if self.pid() is None:
            raise Failure("the virtual Pi does not run; run: scripts/pi_vm start")
        line = ["ssh", "-F", str(self.ssh_config), *(["-t"] if tty else []), ALIAS, *command]
        return subprocess.run(line, check=False, capture_output=capture_output)

    def stop(self) -> None:
        """Shuts down; pulls the plug where that takes too long."""
        number = self.pid()
        if number is None:
            return
        self.ssh(["sudo", "systemctl", "poweroff"], capture_output=True)
        deadline = time.monotonic() + STOP_SECONDS
        while self.pid() is not None and time.monotonic() < deadline:
            time.sleep(0.5)
        self.unplug()

    def unplug(self) -> None:
        """Ends QEMU at once, as a power cut would."""
        number = self.pid()
        if number is not None:
            os.kill(number, signal.SIGKILL)
            while self.pid() is not None:
                time.sleep(0.1)
        (self.state / "pid").unlink(missing_ok=True)

    def reset(self) -> None:
        """Forgets everything written since the image was built.

        Raises:
            Failure: the machine runs.
        """
        if self.pid() is not None:
            raise Failure("the virtual Pi runs; first run: scripts/pi_vm stop")
        self.disk.unlink(missing_ok=True)

    def remove(self) -> None:
        """Ends the machine and deletes its folder; the image stays."""
        self.unplug()
        if self.state.is_dir():
            shutil.rmtree(self.state)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
