"""On the device: try a release, keep it if it serves, else go back to the former one.

systemd runs ``try`` and then, however that ended, ``settle``; so neither depends on the machine
that deploys or on the connection to it.  While a release is on trial its unit lies in /run, which
a boot empties, and ``current`` leads to the former release until the new one has proved itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgenet.deploy.layout import Layout
from edgenet.files import write_atomic

_SHOWN = ("ActiveState", "SubState", "Result", "ExecMainStatus", "MainPID", "NRestarts")
_LINES = 20
_RESULTS = {
    "timeout": "it classified no frame in time",
    "watchdog": "it stopped classifying frames",
    "oom-kill": "it ran out of memory",
    "exit-code": "it ended with exit code {ExecMainStatus}",
    "signal": "it was ended by signal {ExecMainStatus}",
    "core-dump": "it crashed with signal {ExecMainStatus}",
}


class Failed(Exception):
    """The release does not serve; the message is why."""


class Switch:
    """One attempt at making a release the one that runs.

    Args:
        layout: of the deployment.
        release: its digest.
        steady_s: seconds for which the service must go on after its first frame.
    """

    def __init__(self, layout: Layout, release: str, steady_s: float) -> None:
        self.layout = layout
        self.release = release
        self.steady_s = steady_s
        self._began_s = time.time()

    def attempt(self, on_step: Callable[[str], None] = lambda step: None) -> bool:
        """Run the release and commit to it if it serves; returns whether it does."""
        steps = (
            ("note", self._note),
            ("put", self._put),
            ("start", self._start),
            ("observe", self._observe),
            ("commit", self._commit),
            ("finish", self._finish),
        )
        try:
            for name, step in steps:
                on_step(name)
                step()
        except Failed as error:
            self._tell("failed", str(error), self._journal())
            return False
        on_step("end")
        return True

    def settle(self) -> None:
        """After an attempt that may have been cut off anywhere: finish it, or take it back.

        The trial's unit goes last, so that this can be cut off, too, and done again.
        """
        if not Path(self.layout.trial).exists():
            return
        told = self._told()
        former = _leads_to(self.layout.current)
        if former == self.release and told.get("state") not in ("failed", "taken back"):
            self._finish()
            return
        reason = told.get("reason") or "the switch was interrupted"
        journal = told.get("journal") or self._journal()
        runs = self._return_to(former) if former else None
        if not former:
            _systemctl("stop", self.layout.service)
        self._tell("taken back", reason, journal, former=former, runs=runs)
        self._forget()
        if not former:
            _systemctl("reset-failed", self.layout.service)

    def _return_to(self, former: str) -> str | None:
        """Start the former release, from the trial's place; returns it if it runs."""
        unit = Path(self.layout.release(former), self.layout.service)
        if unit.exists():
            write_atomic(Path(self.layout.trial), unit.read_bytes())
        else:
            Path(self.layout.trial).unlink()
        _systemctl("daemon-reload")
        again = _systemctl("restart", self.layout.service)
        return former if again.returncode == 0 else None

    def _forget(self) -> None:
        Path(self.layout.trial).unlink(missing_ok=True)
        _systemctl("daemon-reload")

    def _told(self) -> dict[str, Any]:
        """What the attempt said of its end; nothing where it did not come to that."""
        try:
            found = json.loads(Path(self.layout.outcome).read_text())
        except (OSError, ValueError):
            return {}
        of_this = isinstance(found, dict) and found.get("release") == self.release
        return found if of_this else {}

    def _note(self) -> None:
        self._tell("trying")

    def _put(self) -> None:
        unit = Path(self.layout.release(self.release), self.layout.service)
        trial = Path(self.layout.trial)
        trial.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(trial, unit.read_bytes())
        _systemctl("daemon-reload")

    def _start(self) -> None:
        done = _systemctl("restart", self.layout.service)
        if done.returncode:
            raise Failed(_why(self._show()) or (done.stderr.strip() or "it does not start"))

    def _observe(self) -> None:
        first = self._show()
        until = time.monotonic() + self.steady_s
        while True:
            now = self._show()
            same = all(now[key] == first[key] for key in ("MainPID", "NRestarts"))
            if now["ActiveState"] != "active" or not same:
                raise Failed(_why(now) or "it did not go on after its first frame")
            if time.monotonic() >= until:
                return
            time.sleep(min(0.5, self.steady_s / 4))

    def _commit(self) -> None:
        former = _leads_to(self.layout.current)
        if former and former != self.release:
            _link(self.layout.previous, f"releases/{former}")
        _link(self.layout.current, f"releases/{self.release}")

    def _finish(self) -> None:
        enable(self.layout)
        self._tell("running", runs=self.release)
        self._forget()

    def _show(self) -> dict[str, str]:
        done = _systemctl("show", self.layout.service, f"--property={','.join(_SHOWN)}")
        found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        return {key: found.get(key, "") for key in _SHOWN}

    def _journal(self) -> list[str]:
        since = f"--since=@{int(self._began_s)}"
        words = ["journalctl", f"--unit={self.layout.service}", since, f"--lines={_LINES}"]
        try:
            done = subprocess.run(
                [*words, "--output=cat", "--no-pager"], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return []
        return done.stdout.splitlines()

    def _tell(
        self,
        state: str,
        reason: str = "",
        journal: list[str] | None = None,
        *,
        former: str | None = None,
        runs: str | None = None,
    ) -> None:
        told = {
            "release": self.release,
            "state": state,
            "reason": reason,
            "journal": journal or [],
            "former": former,
            "runs": runs,
            "time": time.time(),
        }
        write_atomic(Path(self.layout.outcome), (json.dumps(told, indent=1) + "\n").encode())
        Path(self.layout.outcome).chmod(0o644)


def enable(layout: Layout) -> None:
    """Let systemd find the service, and a boot start it; what is so already stays."""
    _link(layout.unit, f"{layout.current}/{layout.service}")
    _link(layout.wants, layout.unit)


def _link(path: str, target: str) -> None:
    """Make or turn a symbolic link, in one step."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(place)
    _to_disk(place.parent)


def _to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _leads_to(link: str) -> str | None:
    """The name of the release that a link leads to."""
    try:
        return Path(link).readlink().name
    except OSError:
        return None


def _why(shown: dict[str, str]) -> str:
    return _RESULTS.get(shown["Result"], "").format(**shown)


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)


def main() -> int:
    """The command that the switch's unit runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("try", "settle", "enable"))
    parser.add_argument("--name", required=True)
    parser.add_argument("--root", default="")
    parser.add_argument("--release", default="")
    parser.add_argument("--steady-s", type=float, default=5.0)
    asked = parser.parse_args()
    layout = Layout(asked.name, asked.root)
    if asked.command == "enable":
        enable(layout)
        return 0
    switch = Switch(layout, asked.release, asked.steady_s)
    if asked.command == "try":
        return 0 if switch.attempt() else 1
    switch.settle()
    return 0


if __name__ == "__main__":
    sys.exit(main())
