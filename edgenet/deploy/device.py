"""A deployment on a device, seen from the host: what is there, and switching between releases."""

from __future__ import annotations

import json
import re
import shlex
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgenet.deploy import survey
from edgenet.deploy.layout import Layout
from edgenet.deploy.release import Record
from edgenet.deploy.secretfile import SecretFile
from edgenet.errors import DeployError, RemoteError

if TYPE_CHECKING:
    from edgenet.remote import Completed, Remote

STEADY_S = 5.0
# a deployment that was killed lets go as soon as the device sees its connection end
_PATIENCE_S = 10
_HOLD = "echo held; exec cat > /dev/null"

# what systemd says of a service stands in its journal too
_SYSTEMDS = re.compile(
    r"(Started|Starting|Stopped|Stopping|Scheduled|Failed to start|[\w-]+\.service: )"
)

# $1: the file; what is written comes on standard input, and is there whole or not at all
_WRITE = 'umask "$2"; mkdir -p "$(dirname "$1")"; cat > "$1.draft"; mv "$1.draft" "$1"'
# what a boot would start goes first and the marker last, so that it can be run again
_REMOVE = """
set -eu
rm -f "$4"
systemctl stop "$1" || true
rm -f "$3" "$5" "$6"
units=$(dirname "$3")
rmdir "$units" "$(dirname "$units")" 2>/dev/null || true
systemctl daemon-reload
systemctl reset-failed "$1" 2>/dev/null || true
find "$2" -mindepth 1 -maxdepth 1 ! -name .edgenet -exec rm -rf {} +
rm -rf "$2"
"""


class Outcome(msgspec.Struct, frozen=True):
    """How a switch went, as the device wrote it down.

    Attributes:
        release: that was tried.
        state: "trying", "running", "failed" (and about to be taken back) or "taken back".
        reason: why it does not serve.
        journal: its last lines.
        former: the release to go back to.
        runs: the release that runs now.
    """

    release: str
    state: str
    reason: str = ""
    journal: tuple[str, ...] = ()
    former: str | None = None
    runs: str | None = None


class State(msgspec.Struct, frozen=True):
    """What is deployed.

    Attributes:
        systemd: whether the device was booted with it.
        there: whether the folder is there and holds something.
        claimed: whether it is edgenet's.
        foreign: unit files of the service's name that are not edgenet's.
        current: the release that a boot starts.
        previous: the one that ran before.
        releases: all that are there as a whole.
        outcome: of the last switch.
        enabled: whether a boot starts the service.
        service: properties of the service, as systemd shows them.
        switching: whether a release is being tried now.
        trial: whether the unit of a release on trial is there.
        journal: the service's last lines, if the user there may read them.
    """

    systemd: bool
    there: bool
    claimed: bool
    foreign: tuple[str, ...]
    current: str | None
    previous: str | None
    releases: tuple[Record, ...]
    outcome: Outcome | None
    enabled: bool
    service: dict[str, str]
    switching: bool
    trial: bool
    journal: tuple[str, ...]

    @property
    def active(self) -> bool:
        """Whether the service runs."""
        return self.service.get("ActiveState") == "active"

    def record(self, release: str | None) -> Record | None:
        """The record of a release."""
        return next((one for one in self.releases if one.release == release), None)


class Device:
    """One deployment on one device.

    Args:
        remote: the device.
        layout: of the deployment.
    """

    def __init__(self, remote: Remote, layout: Layout) -> None:
        self.remote = remote
        self.layout = layout

    def root(self, *argv: str, input: bytes | None = None, check: bool = True) -> Completed:
        """Run a command there as root."""
        return self.remote.run(self.remote.as_root(argv), input=input, check=check)

    def write(self, path: str, content: str, *, umask: str = "022") -> None:
        """Write a file there as root."""
        self.root("sh", "-euc", _WRITE, "write", path, umask, input=content.encode())

    def state(self) -> State:
        """Ask what is deployed.

        Raises:
            RemoteError: the device cannot be reached.
            DeployError: its answer cannot be understood.
        """
        layout = self.layout
        asked = {
            "base": layout.base, "elsewhere": ":".join(layout.elsewhere), "unit": layout.unit,
            "booted": layout.booted, "wants": layout.wants, "trial": layout.trial,
            "service": layout.service, "switch": layout.switch,
        }  # fmt: skip
        source = Path(survey.__file__).read_bytes()
        answer = self.remote.run(["python3", "-I", "-", json.dumps(asked)], input=source).stdout
        try:
            return msgspec.json.decode(answer.strip().splitlines()[-1], type=State)
        except (msgspec.DecodeError, IndexError) as error:
            raise DeployError(
                f"{self.remote.host} does not say what is deployed there: {error}"
            ) from error

    def found(self) -> State:
        """What is deployed.

        Raises:
            DeployError: nothing is.
        """
        state = self.state()
        if not state.claimed:
            raise DeployError(
                f"nothing called {self.layout.name} is deployed on {self.remote.host};"
                " --name says which one is meant"
            )
        return state

    def secrets(self, release: str | None) -> SecretFile:
        """The secrets that a release was deployed with; none where it has none."""
        if release is None:
            return SecretFile.parse("")
        done = self.root("cat", f"{self.layout.secrets}/{release}", check=False)
        return SecretFile.parse(done.stdout)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other deployments away, until the block or the connection ends.

        Raises:
            DeployError: another one is under way.
        """
        words = ["flock", "-w", str(_PATIENCE_S), self.layout.base, "sh", "-c", _HOLD]
        with self.remote.pipe(self.remote.as_root(words)) as holding:
            assert holding.stdout is not None
            if not holding.stdout.readline():
                raise DeployError(
                    f"another deployment of {self.layout.name} to {self.remote.host} is under way;"
                    " wait for its end"
                )
            yield

    def python(self, record: Record) -> str:
        """The Python of a release."""
        return f"{self.layout.environments}/{record.environment}/bin/python"

    def switch(self, release: str, python: str, *, steady_s: float | None = None) -> Outcome:
        """Try a release; the device goes on by itself when this process or the line ends.

        Args:
            release: its digest.
            python: there, with edgenet.
            steady_s: seconds for which it must go on after its first frame; by default a few.

        Returns:
            The outcome of a release that serves.

        Raises:
            DeployError: it does not serve, and the former one runs again.
        """
        layout = self.layout
        if steady_s is None:
            steady_s = STEADY_S
        arguments = ["--name", layout.name, "--release", release, "--steady-s", f"{steady_s:g}"]
        if layout.root:
            arguments += ["--root", layout.root]
        text = resources.files("edgenet.deploy").joinpath("switch.service").read_text()
        unit = string.Template(text).substitute(
            name=layout.name, release=release, python=python, arguments=shlex.join(arguments)
        )
        self.write(layout.switch_unit, unit)
        self.root("systemctl", "daemon-reload")
        try:
            done = self.root("systemctl", "start", layout.switch, check=False)
        except RemoteError as error:
            raise RemoteError(
                f"{error}; {self.remote.host} goes on by itself: ask with edgenet deploy --status"
            ) from error
        outcome = self.state().outcome
        if outcome is None or outcome.release != release:
            raise DeployError(
                f"the switch to {release} did not begin on {self.remote.host}:"
                f" {done.stderr.strip() or 'systemd said nothing'}"
            )
        if outcome.state != "running":
            raise TakenBack(self.remote.host, outcome)
        return outcome

    def restart(self) -> None:
        """Start the current release again.

        Raises:
            DeployError: it does not start.
        """
        service = self.layout.service
        self.root("systemctl", "reset-failed", service, check=False)
        if self.root("systemctl", "restart", service, check=False).code:
            state = self.state()
            raise DeployError(
                f"release {state.current} does not start on {self.remote.host}"
                f"{last_word(state.journal)}"
            )

    def remove(self) -> None:
        """Remove the service and all that was deployed; files that it wrote stay."""
        layout = self.layout
        self.root(
            "sh", "-c", _REMOVE, "remove", layout.service, layout.base, layout.unit, layout.wants,
            layout.trial, layout.switch_unit,
        )  # fmt: skip


class TakenBack(DeployError):
    """A release does not serve, and was taken back.

    Attributes:
        outcome: why, with its last lines.
    """

    def __init__(self, host: str, outcome: Outcome) -> None:
        self.outcome = outcome
        if outcome.runs:
            then = f"release {outcome.runs} runs again"
        elif outcome.former:
            then = f"release {outcome.former} is back, but does not start either"
        else:
            then = "there was none before it, so nothing runs"
        super().__init__(
            f"release {outcome.release} does not serve on {host}: {outcome.reason}"
            f"{last_word(outcome.journal)}; {then}"
        )


def last_word(journal: Sequence[str]) -> str:
    """The line that says most of what the service wrote, as the end of a sentence; or nothing."""
    errors = [line for line in journal if line.startswith("Error: ")]
    own = [line for line in journal if line.strip() and not _SYSTEMDS.match(line)]
    last = errors or own
    return f" ({last[-1].strip().removeprefix('Error: ')})" if last else ""
