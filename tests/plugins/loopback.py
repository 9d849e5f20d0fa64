"""A real sshd on loopback, as the current user, with keys and known hosts of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from getpass import getuser
from pathlib import Path

import pytest

from edgenet.remote import connection


class Sshd:
    """A server that the name ``device`` of its ssh config leads to.

    Attributes:
        config: the ssh config for the client.
        folder: keys, configs, and ``home``, where its users find themselves.
        port: on 127.0.0.1.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("host_key", "id", "stranger"):
            self.keygen(name)
        (folder / "authorized_keys").write_text((folder / "id.pub").read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.public('host_key')}\n")
        self.config = self.write_config("config", "id")
        # a home of its own: neither the user's .bashrc nor his files have a part in a test
        home = folder / "home"
        home.mkdir(exist_ok=True)
        environment = {"HOME": str(home), **environment}
        words = " ".join(f'"{name}={value}"' for name, value in environment.items())
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
            f"SetEnv {words}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def keygen(self, name: str) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(command, check=True)

    def public(self, name: str) -> str:
        kind, key, *_ = (self.folder / f"{name}.pub").read_text().split()
        return f"{kind} {key}"

    def write_config(self, name: str, identity: str) -> Path:
        path = self.folder / name
        path.write_text(
            f"Host device\n  HostName 127.0.0.1\n  Port {self.port}\n  User {getuser()}\n"
            f"Host *\n  IdentityFile {self.folder}/{identity}\n  IdentitiesOnly yes\n"
            f"  IdentityAgent none\n  UserKnownHostsFile {self.known_hosts}\n"
            "  GlobalKnownHostsFile none\n"
        )
        return path

    def start(self) -> None:
        if os.geteuid() == 0:  # where sshd drops its privileges, which a package's service makes
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        sshd = shutil.which("sshd")
        assert sshd is not None
        log = self.folder / "log"
        self.process = subprocess.Popen(
            [sshd, "-D", "-E", str(log), "-f", str(self.folder / "sshd_config")]
        )
        for _ in range(600):
            if "Server listening" in (log.read_text() if log.exists() else ""):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(log.read_text() if log.exists() else "sshd did not start")

    def stop(self) -> None:
        """End the server; connections that are open stay, as on a real one."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            (self.folder / "log").unlink()
            self.process = None


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """The server; tests that use it are marked tool("sshd")."""
    server = Sshd(tmp_path_factory.mktemp("sshd"), {})
    yield server
    server.stop()


@pytest.fixture
def device(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a machine that ssh knows and is let into."""
    monkeypatch.setenv(connection.CONFIG, str(sshd.config))
    return "device"
