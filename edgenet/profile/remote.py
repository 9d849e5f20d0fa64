"""Profiling a bundle on another machine, over the user's own ssh.

The bundle goes to a temporary folder there, the same command runs there, and its record comes back.
However that ends, the command there is ended and the folder removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from edgenet.errors import EdgenetError, RemoteError
from edgenet.profile import record, service
from edgenet.profile.profiles import HostProfile
from edgenet.profile.record import Profile
from edgenet.remote import Remote

# $1: the folder, the others the command.  The process writes down its number before it becomes the
# command, so that it can be told to end.  A record left by a command that lost its ear is no use.
_MEASURE = """
sh -c 'echo $$ > "$1/pid"; shift; exec "$@"' measure "$@" > "$1/record.json"
code=$?
rm -f "$1/pid"
[ -s "$1/record.json" ] || rm -rf "$1"
exit $code
"""
# The command has half a minute to start a service again that it had stopped.
_CLEAN = """
if [ -s "$1/pid" ]; then
    pid=$(cat "$1/pid")
    kill -INT "$pid" 2> /dev/null
    for _ in $(seq 150); do
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.2
    done
    kill -TERM "$pid" 2> /dev/null
fi
rm -rf "$1"
"""
_ENDING_S = 60.0

Say = Callable[[str], None]


def measure_on(
    host: str,
    bundle: Path,
    options: Sequence[str],
    *,
    ensure: Callable[[Remote, Say], str],
    say: Say,
) -> Profile:
    """Run ``edgenet profile`` on another machine.

    Args:
        host: ``user@host`` or a name from the user's ssh config.
        bundle: a bundle's folder, checked.
        options: of ``edgenet profile``, as typed.
        ensure: makes sure that edgenet is installed there, told what to say meanwhile; returns the
            path of the Python there that has it.
        say: told each line that the other machine says.

    Raises:
        RemoteError: it cannot be reached, or nothing was measured there; says why.
        RecordError: what it measured cannot be read here.
    """
    with Remote(host) as remote:
        python = ensure(remote, say)
        with _service_kept(remote, "--stop-service" in options), _folder(remote) as folder:
            remote.push(bundle, f"{folder}/bundle")
            command = [python, "-m", "edgenet", "profile", f"{folder}/bundle", *options, "--json"]
            heard: list[str] = []

            def hear(line: str) -> None:
                heard[:] = [line]
                say(line)

            code = remote.stream(
                ["sh", "-c", _MEASURE, "measure", folder, *command], on_line=hear, on_error=hear
            )
            return _fetch(remote, f"{folder}/record.json", code, heard)


def measure_on_each(
    hosts: Sequence[str], measure: Callable[[str], Profile]
) -> Iterator[HostProfile]:
    """Measure on one machine after the other; one that fails does not stop the others.

    Args:
        hosts: in order.
        measure: measures on one of them.
    """
    for host in hosts:
        try:
            yield HostProfile(host, measure(host))
        except EdgenetError as error:
            yield HostProfile(host, None, str(error))


@contextmanager
def _folder(remote: Remote) -> Iterator[str]:
    """A temporary folder there, removed at the end with whatever runs in it."""
    made = remote.run(["mktemp", "-d", "-t", "edgenet-profile.XXXXXXXX"]).stdout.strip()
    if not PurePosixPath(made).is_absolute():
        raise RemoteError(f"{remote.host} made no temporary folder; mktemp said {made!r}")
    try:
        yield made
    finally:
        # what went wrong before says more than that the other machine is gone now
        with contextlib.suppress(RemoteError):
            remote.run(["sh", "-c", _CLEAN, "clean", made], timeout_s=_ENDING_S)


@contextmanager
def _service_kept(remote: Remote, stopping: bool) -> Iterator[None]:
    """Starts the service again that the measurement was to stop, should it not have done so."""
    was = stopping and _runs(remote)
    try:
        yield
    finally:
        if was and not _runs(remote):
            remote.run(remote.as_root(["systemctl", "start", service.NAME]))


def _runs(remote: Remote) -> bool:
    asked = ["systemctl", "is-active", "--quiet", service.NAME]
    return remote.run(["sh", "-c", '"$@"', "ask", *asked], check=False).code == 0


def _fetch(remote: Remote, place: str, code: int, heard: Sequence[str]) -> Profile:
    """The record, which is there even when a part could not be measured."""
    last = heard[0].removeprefix("Error: ") if heard else "it said nothing"
    with TemporaryDirectory(prefix="edgenet-") as folder:
        local = Path(folder, "record.json")
        try:
            remote.pull(place, local)
        except RemoteError as error:
            if code == 0:
                raise
            raise RemoteError(f"nothing was measured on {remote.host}: {last}") from error
        return record.decode(local.read_bytes(), f"the record of {remote.host}")
