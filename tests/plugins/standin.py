"""A device for tests: a folder in place of /, and stand-ins for what only a device has.

The ssh server, the shell, the commands and the services' processes are real.  ``systemctl`` is this
file's ``main``: it knows the units' places and order, starts what they say with a real socket for
sd_notify, and keeps a log of how it was called.  A boot is ``Device.boot``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system")
_LIMIT_S = 60.0


class Device:
    """What the test holds of the device."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands = root / "bin"
        for folder in (*FOLDERS, "opt", "bin", "usr/bin", "state"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self._script(self.commands / "systemctl", f'"{__file__}" "{root}" "$@"')
        self._script(self.commands / "journalctl", f'"{__file__}" "{root}" journal "$@"')
        # as Debian's sudo: -n, and no password is asked of nobody
        (self.commands / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] && shift 2\nexec "$@"\n')
        (self.commands / "sudo").chmod(0o755)
        # instead of an environment that takes pip a minute: a folder with a Python that has edgenet
        (root / "usr/bin/python3").write_text(
            '#!/bin/sh\nif [ "$1 $2 $3" = "-P -m venv" ]; then\n'
            f'  mkdir -p "$5/bin" && cp "{root}/venv_python" "$5/bin/python"; exit\nfi\n'
            f'exec "{sys.executable}" "$@"\n'
        )
        (root / "venv_python").write_text(
            '#!/bin/sh\n[ "$1 $2 $3" = "-P -m pip" ] && { echo "$@" >> '
            f'"{root}/state/pip"; exit; }}\nexec "{sys.executable}" "$@"\n'
        )
        for name in ("usr/bin/python3", "venv_python"):
            (root / name).chmod(0o755)

    def _script(self, path: Path, words: str) -> None:
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS {words}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What systemctl was told, in order."""
        log = self.root / "state" / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def running(self, name: str = "edgenet") -> str | None:
        """The release whose process runs."""
        pid = _state(self.root, f"{name}.service").get("pid")
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if "run" in words:
                return Path(words[words.index("run") + 1]).parent.name
        return None

    def current(self, name: str = "edgenet") -> str | None:
        """The release that a boot starts."""
        link = self.root / "opt" / name / "current"
        return link.readlink().name if link.is_symlink() else None

    def switching(self, name: str = "edgenet") -> bool:
        """Whether a release is on trial."""
        return _state(self.root, f"{name}-switch.service").get("active") == "activating"

    def settled(self, name: str = "edgenet") -> None:
        """Wait for the end of a switch that nobody waits for."""
        until = time.monotonic() + _LIMIT_S
        while self.switching(name):
            assert time.monotonic() < until
            time.sleep(0.05)

    def halt(self) -> None:
        """Cut the power."""
        for path in (self.root / "state").glob("*.service.json"):
            unit = path.name.removesuffix(".json")
            for key in ("manager", "command", "pid"):
                _kill(_state(self.root, unit).get(key))
            path.unlink()
        for path in (self.root / "run/systemd/system").iterdir():
            path.unlink()

    def wipe(self) -> None:
        """As it was before anything was deployed."""
        self.halt()
        for folder in ("opt", "state", *FOLDERS, f"{FOLDERS[0]}/multi-user.target.wants"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
            (self.root / folder).mkdir(parents=True)

    def boot(self) -> None:
        """Start what the disk says."""
        self.halt()
        for link in (self.root / "etc/systemd/system/multi-user.target.wants").glob("*.service"):
            if link.exists():
                subprocess.run([self.commands / "systemctl", "restart", link.name], check=False)


def _state(root: Path, unit: str) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads((root / "state" / f"{unit}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def _note(root: Path, unit: str, **new: object) -> None:
    path = root / "state" / f"{unit}.json"
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(_state(root, unit) | new))
    draft.replace(path)


def _kill(pid: object) -> None:
    if isinstance(pid, int):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _alive(pid: object) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _find(root: Path, unit: str) -> dict[str, list[str]]:
    """The unit's settings, from the folder that systemd would take it from."""
    for folder in FOLDERS:
        path = root / folder / unit
        if path.exists():
            found: dict[str, list[str]] = {}
            for line in path.read_text().splitlines():
                key, equals, value = line.partition("=")
                if equals and not line.startswith("#"):
                    found.setdefault(key, []).append(value)
            return found
    raise SystemExit(f"Unit {unit} not found.")


def _words(command: str) -> list[str]:
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(command)]


def _environment(root: Path, settings: dict[str, list[str]]) -> dict[str, str]:
    found = dict(os.environ)
    for name in settings.get("EnvironmentFile", []):
        for line in Path(name).read_text().splitlines():
            key, _, value = line.partition("=")
            found[key] = value.strip('"')
    return found


def restart(root: Path, unit: str) -> int:
    """As systemctl does: wait until the service says that it is ready, or has ended."""
    settings = _find(root, unit)
    stop(root, unit)
    address = str(root / "state" / f"{unit}.sock")
    Path(address).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(address)
        notified.settimeout(0.05)
        with (root / "state" / f"{unit}.log").open("ab") as log:
            process = subprocess.Popen(
                _words(settings["ExecStart"][0]),
                env=_environment(root, settings) | {"NOTIFY_SOCKET": address},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        _note(root, unit, pid=process.pid, active="activating", result="success", status=0)
        until = time.monotonic() + _LIMIT_S
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in notified.recv(4096):
                    _note(root, unit, active="active")
                    return 0
    process.kill()
    code = process.wait()
    _note(root, unit, active="failed", result="exit-code", status=code)
    sys.stderr.write(f"Job for {unit} failed.\n")
    return 1


def stop(root: Path, unit: str) -> int:
    """End the service."""
    pid = _state(root, unit).get("pid")
    _note(root, unit, active="inactive", pid=None)
    if isinstance(pid, int) and _alive(pid):
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 10
        while _alive(pid) and time.monotonic() < until:
            time.sleep(0.02)
        _kill(pid)
    return 0


def once(root: Path, unit: str) -> int:
    """Start a service of Type=oneshot and wait for it; it goes on if nobody waits."""
    if _state(root, unit).get("active") != "activating":
        _find(root, unit)
        _note(root, unit, active="activating")
        subprocess.Popen(
            [sys.executable, "-IS", __file__, str(root), "manage", unit], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    while _state(root, unit).get("active") == "activating":
        time.sleep(0.02)
    return int(_state(root, unit).get("active") == "failed")


def manage(root: Path, unit: str) -> int:
    """Run ExecStart=, and then ExecStopPost=, however the first one ended."""
    settings = _find(root, unit)
    with (root / "state" / f"{unit}.log").open("ab") as log:
        process = subprocess.Popen(_words(settings["ExecStart"][0]), stdout=log, stderr=log)
        _note(root, unit, manager=os.getpid(), command=process.pid)
        code = process.wait()
        subprocess.run(_words(settings["ExecStopPost"][0]), stdout=log, stderr=log, check=False)
    _note(root, unit, active="failed" if code else "inactive", status=code)
    return 0


def show(root: Path, unit: str) -> int:
    """Print what the callers ask for."""
    found = _state(root, unit)
    active = found.get("active", "inactive")
    if active == "active" and not _alive(found.get("pid")):
        active = "failed"
    values = {
        "ActiveState": active, "Result": found.get("result", "success"), "SubState": "",
        "ExecMainStatus": found.get("status", 0), "MainPID": found.get("pid") or 0, "NRestarts": 0,
        "StatusText": "", "ActiveEnterTimestamp": "",
    }  # fmt: skip
    sys.stdout.write("".join(f"{key}={value}\n" for key, value in values.items()))
    return 0


def main(root: Path, command: str, *words: str) -> int:
    """``systemctl COMMAND ...``."""
    if command == "journal":
        unit = next(word.rpartition("=")[2] for word in words if word.endswith(".service"))
        log = root / "state" / f"{unit}.log"
        sys.stdout.write("".join(log.read_text().splitlines(keepends=True)[-20:]))
        return 0
    unit = next((word for word in words if word.endswith(".service")), "")
    if command not in ("show", "manage"):
        with (root / "state" / "calls").open("a") as calls:
            calls.write(f"{command} {unit}".strip() + "\n")
    if command == "daemon-reload" or command == "reset-failed":
        return 0
    if command == "start":
        return once(root, unit)
    return {"restart": restart, "stop": stop, "show": show, "manage": manage}[command](root, unit)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
