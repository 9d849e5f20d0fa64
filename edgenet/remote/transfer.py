"""Files to and from another machine, as a tar archive through ssh; whole or not at all."""

from __future__ import annotations

import shutil
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from edgenet.errors import RemoteError

if TYPE_CHECKING:
    from edgenet.remote.connection import Remote

# $1: the place, $2: the folder beside it where the copy grows.  tar takes an archive that was cut
# off for a whole one, so a last file says that it is.  mv -T is one rename: a file is replaced by
# it; a folder cannot be, so the former one makes room first and comes back if that fails
_UNPACK = """
set -eu
umask 022
trap 'rm -rf "$2"' EXIT
mkdir -p "$(dirname "$1")" "$2"
tar -xf - -C "$2"
[ -e "$2/whole" ] || { echo "the copy broke off" >&2; exit 1; }
sync
if [ -d "$1" ] && [ ! -L "$1" ]; then
    mv -T "$1" "$2/former"
    mv -T "$2/copy" "$1" || { mv -T "$2/former" "$1"; exit 1; }
else
    mv -T "$2/copy" "$1"
fi
"""
_PACK = """
set -eu
[ -e "$1" ] || { echo "nothing is at $1" >&2; exit 1; }
cd "$(dirname "$1")"
tar -chf - "./$(basename "$1")"
"""


def push(remote: Remote, local: Path, place: str, *, as_root: bool = False) -> None:
    """Copy ``local``, a file or a folder, to ``place`` on the other machine; links are followed."""
    if not local.exists():
        raise FileNotFoundError(2, "No such file or directory", str(local))
    draft = f"{place.rstrip('/')}.{uuid.uuid4().hex[:8]}"
    argv: Sequence[str] = ["sh", "-c", _UNPACK, "push", place, draft]
    with remote.pipe(remote.as_root(argv) if as_root else argv) as process:
        assert process.stdin is not None
        with tarfile.open(fileobj=process.stdin, mode="w|", dereference=True) as archive:
            archive.add(local, arcname="copy", filter=_nobodys)
            archive.addfile(tarfile.TarInfo("whole"))


def pull(remote: Remote, place: str, local: Path) -> None:
    """Copy ``place``, a file or a folder on the other machine, to ``local``."""
    draft = local.with_name(f".{local.name}.{uuid.uuid4().hex[:8]}")
    draft.mkdir(parents=True)
    try:
        with remote.pipe(["sh", "-c", _PACK, "pull", place.rstrip("/")]) as process:
            assert process.stdout is not None
            whole = _unpack(process.stdout, draft, remote.host)
        copy = draft / PurePosixPath(place).name
        if not whole or not copy.exists():
            raise RemoteError(
                f"{remote.host} sent no archive of {place}; does its shell print something when"
                " you log in?"
            )
        if local.is_dir():
            local.rename(draft / "former")
        copy.replace(local)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the owner, who is another one there; readable by the service's user."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def _unpack(pipe: IO[bytes], folder: Path, host: str) -> bool:
    """Files and folders of an archive that another machine wrote, none of them outside ``folder``.

    Returns:
        Whether it was an archive.
    """
    try:
        with tarfile.open(fileobj=pipe, mode="r|") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                if member.name.startswith("/") or ".." in parts:
                    raise RemoteError(f"{host} sent a file that leaves its folder: {member.name}")
                target = folder.joinpath(*parts)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif (content := archive.extractfile(member)) is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    target.chmod(0o755 if member.mode & 0o100 else 0o644)
    except tarfile.ReadError:
        return False
    return True
