"""What this machine has to bring: tools, rights, a Debian mirror, emulation of arm64 programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SUITE = "bookworm"  # what Raspberry Pi OS 12 is made from
REGISTERED = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")

# tool: the Debian package that brings it
PACKAGES = {
    "cpio": "cpio",
    "depmod": "kmod",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}


class Failure(Exception):
    """What a user can mend, in a sentence."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def demand(*tools: str) -> None:
    """Raises Failure, naming the packages, where a tool is missing."""
    searched = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    os.environ["PATH"] = searched
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[tool] for tool in missing}))
        raise Failure(f"{', '.join(missing)} not found; on Debian run: apt-get install {packages}")


def demand_root(what: str) -> None:
    if os.geteuid() != 0:
        raise Failure(f"{what} needs root; run it with sudo --preserve-env=XDG_CACHE_HOME,HOME")


def cache() -> Path:
    """Where images are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgenet"


def mirror() -> str:
    """The Debian mirror of this machine's own apt sources, or EDGENET_DEBIAN_MIRROR.

    Raises:
        Failure: apt knows none.
    """
    if given := os.environ.get("EDGENET_DEBIAN_MIRROR"):
        return given
    wanted = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)"]
    try:
        listed = run([*wanted, "Created-By: Packages"])
    except FileNotFoundError:
        listed = ""
    for line in listed.splitlines():
        *kind, address = line.split()
        if kind == ["Debian", "Debian", "main"]:
            return address.rstrip("/")
    raise Failure(
        "apt knows no Debian mirror here; give one: EDGENET_DEBIAN_MIRROR=http://MIRROR/debian"
    )


def run(command: Sequence[str | Path], *, check: bool = True) -> str:
    """Standard output of a command.

    Raises:
        Failure: it ended badly; its last lines are quoted.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        said = " ".join(f"{done.stdout}\n{done.stderr}".split("\n")[-4:]).strip()
        raise Failure(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
    return done.stdout


def python() -> Path:
    """The checkout's own Python, which has pip, setuptools and pytest.

    Raises:
        Failure: it is not there.
    """
    found = REPOSITORY / ".venv" / "bin" / "python"
    if not found.exists():
        raise Failure("there is no .venv here; run: scripts/setup")
    return found


def emulate() -> None:
    """Lets the kernel start arm64 programs, until it is booted again.

    Raises:
        Failure: the kernel lacks binfmt_misc, or may not be told.
    """
    if REGISTERED.exists():
        return
    if not RULE.is_file():
        raise Failure(f"{RULE} is missing; on Debian run: apt-get install qemu-user-static")
    demand_root("telling the kernel how to start arm64 programs")
    registry = REGISTERED.parent
    if not (registry / "register").exists():
        try:
            run(["mount", "-t", "binfmt_misc", "binfmt_misc", registry])
        except Failure as error:
            raise Failure(f"this kernel has no binfmt_misc ({error}); load it: modprobe") from error
    (registry / "register").write_text(RULE.read_text(encoding="ascii"), encoding="ascii")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file for the block.

    Raises:
        Failure: another process holds it.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another process works on {path.with_suffix('')}; wait for it") from None
        yield
