"""edgenet itself as a wheel, to be carried to a device: built from a checkout, or packed again."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import edgenet
from edgenet.errors import DeployError

_BUILT = shutil.ignore_patterns("__pycache__", "*.pyc", "build")
_SOURCES = ("edgenet", "targets")
_BESIDE = ("pyproject.toml", "README.md", "LICENSE")
# what an installer writes beside a wheel's own files
_INSTALLERS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def own(folder: Path) -> Path:
    """Write the wheel of the edgenet that is running.

    A checkout is built; an installed wheel is packed again from its files, which are the wheel's.

    Args:
        folder: where the wheel is written.

    Raises:
        DeployError: edgenet was not installed, or the build failed.
    """
    top = Path(edgenet.__file__).parent.parent
    if all((top / name).exists() for name in (*_SOURCES, *_BESIDE)):
        return _build(top, folder)
    try:
        return _pack(metadata.distribution("edgenet"), folder)
    except metadata.PackageNotFoundError:
        raise DeployError(
            f"edgenet runs from {top}, where it was never installed; run: pip install edgenet"
        ) from None


def digest(wheel: Path) -> str:
    """The sha256, in hex, of what a wheel installs; when it was built does not matter."""
    total = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(".dist-info/RECORD"):
                content = hashlib.sha256(archive.read(name)).hexdigest()
                total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()


def _build(checkout: Path, folder: Path) -> Path:
    """Build a copy of a checkout, so that neither it nor an older build has a part in it."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, out = Path(scratch, "tree"), Path(scratch, "out")
        for name in _SOURCES:
            shutil.copytree(checkout / name, tree / name, ignore=_BUILT)
        for name in _BESIDE:
            shutil.copy(checkout / name, tree)
        words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", out]
        if importlib.util.find_spec("setuptools"):
            words.append("--no-build-isolation")
        done = subprocess.run(
            [*map(str, words), str(tree)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["pip said nothing"]
            raise DeployError(
                f"no wheel could be built from {checkout}: {lines[-1]};"
                " pip install 'setuptools>=77' pip may be what is missing"
            )
        (built,) = out.glob("*.whl")
        return Path(shutil.copy(built, folder))


def _pack(found: metadata.Distribution, folder: Path) -> Path:
    """The installed files as the wheel that they came from."""
    wheel = folder / f"edgenet-{found.version}-py3-none-any.whl"
    record = ""
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(found.files or (), key=str):
            beside = path.parts[0].endswith(".dist-info") and path.name in _INSTALLERS
            if ".." in path.parts or path.suffix == ".pyc" or beside:
                continue
            content = Path(str(path.locate())).read_bytes()
            _add(archive, str(path), content)
            sha = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={sha},{len(content)}\n"
        place = f"edgenet-{found.version}.dist-info/RECORD"
        _add(archive, place, f"{record}{place},,\n".encode())
    return wheel


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
