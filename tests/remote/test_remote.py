from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from getpass import getuser
from pathlib import Path

import pytest
from loopback import Sshd

from edgenet.errors import RemoteError
from edgenet.remote import Completed, Remote, connection

pytestmark = pytest.mark.tool("sshd")


def test_a_command_runs_and_its_output_and_code_come_back(device: str) -> None:
    with Remote(device) as remote:
        done = remote.run(["sh", "-c", "cat; echo there >&2; exit 3"], input=b"here", check=False)
    assert done == Completed("here", "there\n", 3)


def test_arguments_arrive_as_they_were_given(device: str) -> None:
    words = ["a b", "", "$HOME", "'", '"; exit 9', "`id`", "-n", "*", "\\", "ü\n"]
    with Remote(device) as remote:
        assert remote.run(["printf", "<%s>", *words]).stdout == "".join(f"<{w}>" for w in words)


def test_an_address_with_a_port_leads_there(sshd: Sshd) -> None:
    for host in (f"{getuser()}@127.0.0.1:{sshd.port}", f"ssh://127.0.0.1:{sshd.port}"):
        with Remote(host, config=sshd.config) as remote:
            assert remote.run(["echo", "hello"]).stdout == "hello\n"


def test_commands_share_one_connection(sshd: Sshd, device: str) -> None:
    log = sshd.folder / "log"
    before = log.read_text().count("Accepted publickey")
    with Remote(device) as remote:
        for _ in range(3):
            remote.run(["true"])
        remote.stream(["true"], on_line=print)
    assert log.read_text().count("Accepted publickey") == before + 1


def test_lines_are_heard_as_they_come(device: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    heard: list[str] = []
    errors: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if line == "first":  # the command waits for this, so a line held back would hang
            fifo.write_text("second\n")

    with Remote(device) as remote:
        script = f"echo first; cat {shlex.quote(str(fifo))}; echo oops >&2; exit 4"
        code = remote.stream(["sh", "-c", script], on_line=hear, on_error=errors.append)
    assert (heard, errors, code) == (["first", "second"], ["oops"], 4)


def test_a_command_that_fails_is_one_sentence(device: str) -> None:
    with Remote(device) as remote, pytest.raises(RemoteError) as error:
        remote.run(["sh", "-c", "echo 1; echo no space >&2; exit 28"])
    assert str(error.value) == (
        "'sh -c echo 1; echo no space >&2; exit 28' failed on device with exit code 28: no space"
    )


def test_exit_code_255_of_a_command_is_its_own(device: str) -> None:
    with Remote(device) as remote:
        assert remote.run(["sh", "-c", "exit 255"], check=False).code == 255


def test_a_missing_command_is_named(device: str) -> None:
    with Remote(device) as remote, pytest.raises(RemoteError, match="device has no command 'nope'"):
        remote.run(["nope", "-x"])


def test_a_command_that_takes_too_long_is_given_up(device: str) -> None:
    with Remote(device) as remote:
        with pytest.raises(RemoteError, match=r"did not finish 'sleep 60' within 0\.2 s"):
            remote.run(["sleep", "60"], timeout_s=0.2)
        assert remote.run(["echo", "on"]).stdout == "on\n"


def test_an_unknown_host_key_is_refused_with_what_to_run(sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    lenient = "Host *\n  StrictHostKeyChecking no\n"
    text = sshd.config.read_text().replace(str(sshd.known_hosts), str(tmp_path / "none"))
    config.write_text(lenient + text)
    with pytest.raises(RemoteError, match=r"host key of device is not known here; run once: ssh "):
        Remote("device", config=config).connect()
    assert not (tmp_path / "none").exists()


def test_a_changed_host_key_is_refused_with_what_to_run(sshd: Sshd, tmp_path: Path) -> None:
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"[127.0.0.1]:{sshd.port} {sshd.public('stranger')}\n")
    config = tmp_path / "config"
    config.write_text(sshd.config.read_text().replace(str(sshd.known_hosts), str(hosts)))
    host = f"127.0.0.1:{sshd.port}"
    with pytest.raises(RemoteError, match=rf"run: ssh-keygen -R '\[127.0.0.1\]:{sshd.port}'"):
        Remote(host, config=config).connect()


def test_a_key_that_is_not_accepted_asks_for_no_password(sshd: Sshd) -> None:
    config = sshd.write_config("config_of_stranger", "stranger")
    with pytest.raises(
        RemoteError, match=r"accepts none of the keys.*run once: ssh-copy-id device"
    ):
        Remote("device", config=config).connect()


def test_a_machine_that_refuses_or_is_not_there_is_one_sentence(sshd: Sshd) -> None:
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1 refuses ssh; enable it there"):
        Remote("127.0.0.1:1", config=sshd.config).connect()
    with pytest.raises(RemoteError, match=r"no machine is called 'nowhere\.invalid'"):
        Remote("nowhere.invalid", config=sshd.config).connect()


def test_a_broken_connection_is_said_and_opened_again(device: str) -> None:
    with Remote(device) as remote:
        with pytest.raises(RemoteError, match="the connection to device broke during"):
            # the parent of the shell is the server's process for this connection
            remote.run(["sh", "-c", "kill -9 $PPID; sleep 60"])
        assert remote.run(["echo", "again"]).stdout == "again\n"


def test_the_connection_ends_with_a_process_that_is_killed(sshd: Sshd, tmp_path: Path) -> None:
    code = (
        "import os, sys; from edgenet.remote import Remote; remote = Remote('device');"
        "remote.connect(); print(remote._master.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, connection.CONFIG: str(sshd.config), "TMPDIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    # communicate() returned, so nothing holds the output open; the client itself ends as well
    assert run.returncode == -signal.SIGKILL
    master = Path(f"/proc/{int(run.stdout)}")
    subprocess.run(
        ["timeout", "20", "sh", "-c", f"while test -e {master}; do sleep 0.1; done"], check=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file in a folder, an executable and a link."""
    folder = tmp_path / "local" / "bundle"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "a model").write_bytes(bytes(range(256)) * 1000)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o700)
    (folder / "link").symlink_to("run")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_goes_there_and_comes_back(device: str, folder: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "new" / "there is", tmp_path / "back"
    with Remote(device) as remote:
        remote.push(folder, str(there))
        remote.pull(str(there), back)
    assert tree(there) == tree(back) == tree(folder)
    assert os.access(there / "run", os.X_OK)
    assert (there / "run").stat().st_mode & 0o777 == 0o755
    assert not (there / "link").is_symlink()


def test_a_file_goes_there_and_comes_back(device: str, folder: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_text("former")
    with Remote(device) as remote:
        remote.push(folder / "models" / "a model", str(there))
        remote.pull(str(there), back)
    assert there.read_bytes() == back.read_bytes() == (folder / "models" / "a model").read_bytes()


def test_a_folder_that_is_there_is_replaced_whole(
    device: str, folder: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    with Remote(device) as remote:
        remote.push(folder, str(there))
        (there / "left over").touch()
        remote.push(folder, str(there) + "/")
        assert tree(there) == tree(folder)
        (folder / "more").touch()
        remote.pull(str(there), folder)
    assert tree(there) == tree(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "there"]


def test_a_copy_that_breaks_leaves_what_was_there(
    device: str, folder: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "former").touch()
    (folder / "unreadable").symlink_to("nothing")  # breaks the archive in its middle
    with Remote(device) as remote:
        with pytest.raises(FileNotFoundError):
            remote.push(folder, str(there))
        with pytest.raises(RemoteError, match="nothing is at"):
            remote.pull(str(tmp_path / "nothing"), there)
    assert list(tree(there)) == ["former"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "there"]


def test_where_nothing_can_be_written_says_so(device: str, folder: Path) -> None:
    with (
        Remote(device) as remote,
        pytest.raises(RemoteError, match=r"'sh -c .*/proc/nowhere.*' failed on device"),
    ):
        remote.push(folder, "/proc/nowhere/at/all")


def test_what_leaves_its_folder_is_refused(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgenet.remote import transfer

    (tmp_path / "evil").write_text("x")
    evil = 'cd "$(dirname "$1")"; tar -cPf - --transform=s,^.*$,../../out, evil'
    monkeypatch.setattr(transfer, "_PACK", evil)
    with Remote(device) as remote, pytest.raises(RemoteError, match="leaves its folder"):
        remote.pull(str(tmp_path / "evil"), tmp_path / "got" / "it")
    assert not (tmp_path / "out").exists()
    assert not any(path.name == "it" for path in tmp_path.rglob("*"))


def test_an_alias_has_a_name_that_others_know(device: str) -> None:
    assert Remote(device).hostname() == "127.0.0.1"
    assert Remote("raspberrypi.local").hostname() == "raspberrypi.local"
