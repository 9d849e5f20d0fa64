"""A connection to another machine through OpenSSH, opened once and shared by every command.

It is the user's own ssh, with his config, agent and known hosts; a host that is not known is
refused, nothing is asked. The connection lives as long as a pipe from this process, so it ends with
the process however that ends.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from edgenet.errors import RemoteError
from edgenet.remote import address, complaint, process

CONFIG = "EDGENET_SSH_CONFIG"
_READY = "edgenet is connected"
_NO_COMMAND = 127
_SSH_FAILED = 255


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command on the other machine ended."""

    stdout: str
    stderr: str
    code: int


class Remote:
    """Another machine.

    Args:
        host: ``user@host``, ``user@host:port``, ``ssh://user@host:port`` or a name from the user's
            ssh config.
        timeout_s: how long it may take to connect, and how long a broken line goes unnoticed.
        config: an ssh config to read instead of the user's; by default what the environment
            variable ``EDGENET_SSH_CONFIG`` names, if anything.

    Raises:
        UsageError: ``host`` is no address.
    """

    def __init__(self, host: str, *, timeout_s: float = 30, config: Path | None = None) -> None:
        self.address = address.parse(host)
        self.host = self.address.destination
        self._timeout_s = timeout_s
        self._config = ["-F", str(file)] if (file := config or os.environ.get(CONFIG)) else []
        self._folder: Path | None = None
        self._master: subprocess.Popen[bytes] | None = None
        self._is_root: bool | None = None

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Connect, unless it is connected; every method does so by itself.

        Raises:
            RemoteError: the machine cannot be reached, or does not let this user in.
        """
        if self._master is not None and self._master.poll() is None:
            return
        self.close()
        self._folder = process.short_folder()
        with tempfile.TemporaryFile() as said:
            script = f"echo {shlex.quote(_READY)}; exec cat >/dev/null"
            self._master = self._ssh(
                script, "-o", "ControlMaster=yes", stdin=subprocess.PIPE, stderr=said
            )
            if not self._answers(self._master):
                self.close()
                said.seek(0)
                text = said.read().decode(errors="replace")
                raise RemoteError(complaint.sentence(self.address, text or "timed out"))

    def hostname(self) -> str:
        """The name or number that other programs, too, know it by."""
        return process.hostname(self.address.host, self._config)

    def close(self) -> None:
        """End the connection; a later command opens a new one."""
        master, self._master = self._master, None
        if master is not None:
            process.end(master)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | None = None,
        timeout_s: float | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a command there and wait for its end.

        Args:
            argv: the command and its arguments; no shell reads them.
            input: its standard input; none by default.
            timeout_s: how long it may take; as long as it likes by default.
            check: whether an exit code other than 0 is an error.

        Raises:
            RemoteError: there is no connection, no such command, it took too long, or it failed.
        """
        self.connect()
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        running = self._ssh(shlex.join(argv), stdin=stdin, stderr=subprocess.PIPE)
        try:
            out, err = running.communicate(input, timeout_s)
        except subprocess.TimeoutExpired as error:
            raise RemoteError(
                f"{self.host} did not finish {complaint.short(argv)} within {timeout_s:g} s"
            ) from error
        finally:
            process.end(running)
        done = Completed(
            out.decode(errors="replace"), err.decode(errors="replace"), running.returncode
        )
        self._judge(argv, done, check=check)
        return done

    def stream(
        self,
        argv: Sequence[str],
        *,
        on_line: Callable[[str], None],
        on_error: Callable[[str], None] | None = None,
    ) -> int:
        """Run a command there and hear its lines as they come.

        Args:
            argv: the command and its arguments; no shell reads them.
            on_line: told each line of its standard output, without the newline.
            on_error: told each line of its standard error, from another thread; dropped by default.

        Returns:
            Its exit code.

        Raises:
            RemoteError: there is no connection, it broke, or there is no such command.
        """
        self.connect()
        running = self._ssh(shlex.join(argv), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        last = ""

        def listen() -> None:
            nonlocal last
            for line in process.lines(running.stderr):
                last = line
                if on_error is not None:
                    on_error(line)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            for line in process.lines(running.stdout):
                on_line(line)
            listener.join()
            code = running.wait()
        except BaseException:
            # the connection holds the pipes until the command there ends, and the listener hears on
            self.close()
            raise
        finally:
            process.end(running)
        self._judge(argv, Completed("", last, code), check=False)
        return code

    @contextmanager
    def pipe(self, argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """A command there with open pipes; it must have ended well when the block ends.

        Raises:
            RemoteError: there is no connection, no such command, or it failed.
        """
        self.connect()
        with tempfile.TemporaryFile() as said:
            running = self._ssh(shlex.join(argv), stdin=subprocess.PIPE, stderr=said)
            broken = False
            try:
                yield running
                process.finish(running)
            except BrokenPipeError:  # it ended early: why is in what it said
                broken = True
                running.wait()
            finally:
                process.end(running)
            said.seek(0)
            text = said.read().decode(errors="replace")
        code = running.returncode or int(broken)
        self._judge(argv, Completed("", text, code), check=True)

    def push(self, local: Path, remote: str, *, as_root: bool = False) -> None:
        """Copy a file or a folder there, under another name until it is whole.

        A file replaces what was there in one step; a folder that was there is put aside first.

        Raises:
            RemoteError: there is no connection, or it cannot be written there.
            OSError: ``local`` cannot be read.
        """
        from edgenet.remote import transfer

        transfer.push(self, local, remote, as_root=as_root)

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file or a folder from there, under another name until it is whole.

        Raises:
            RemoteError: there is no connection, or nothing that can be read there.
            OSError: ``local`` cannot be written.
        """
        from edgenet.remote import transfer

        transfer.pull(self, remote, local)

    def as_root(self, argv: Sequence[str]) -> list[str]:
        """The command that does the same as root.

        Raises:
            RemoteError: the user there is not root and may not become it without a password.
        """
        if self._is_root is None:
            self._is_root = self.run(["id", "-u"]).stdout.strip() == "0"
            if not self._is_root:
                self._demand_sudo()
        return list(argv) if self._is_root else ["sudo", "-n", "--", *argv]

    def _demand_sudo(self) -> None:
        asked = self.run(["sh", "-c", "command -v sudo && sudo -n true"], check=False)
        if asked.code != 0:
            self._is_root = None
            raise RemoteError(
                f"{self.host} is not root and may not use sudo without a password; allow it there"
                ' with: echo "$USER ALL=(ALL) NOPASSWD: ALL" | sudo tee /etc/sudoers.d/010-$USER,'
                " or connect as root"
            )

    def _ssh(
        self, script: str, *options: str, stdin: int, stderr: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start ssh with ``script`` for the shell there."""
        sharing = options or ("-o", "ControlMaster=no")
        words = [*self._config, *sharing, "-o", f"ControlPath={self._folder}/s"]
        words += [*process.options(self._timeout_s), *self.address.arguments, script]
        return process.start(words, stdin=stdin, stderr=stderr)

    def _answers(self, master: subprocess.Popen[bytes]) -> bool:
        """Whether the other machine's shell is there, in time."""
        ready = threading.Event()

        def listen() -> None:
            for line in process.lines(master.stdout):
                if line.endswith(_READY):
                    ready.set()
                    return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        listener.join(2 * self._timeout_s)
        if listener.is_alive():
            master.kill()
            listener.join()
        return ready.is_set()

    def _judge(self, argv: Sequence[str], done: Completed, *, check: bool) -> None:
        """Raise what went wrong; the exit code 255 is ssh's own if the connection is gone."""
        if done.code == _SSH_FAILED and not self._alive():
            raise RemoteError(complaint.broken(self.host, argv, done.stderr))
        if done.code == _NO_COMMAND and "not found" in done.stderr:
            raise RemoteError(complaint.missing(self.host, argv))
        if check and done.code != 0:
            said = done.stderr or done.stdout
            raise RemoteError(complaint.failed(self.host, argv, done.code, said))

    def _alive(self) -> bool:
        if self._master is None or self._master.poll() is not None:
            return False
        check = self._ssh("", "-O", "check", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.finish(check)
        process.end(check)
        return check.returncode == 0
