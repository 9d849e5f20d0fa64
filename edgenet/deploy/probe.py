"""What a device has; run there by its own Python, any from 3.8 on, from standard input.

Its arguments are the folder that is going to be filled and how this Python was called; it answers
with JSON on a line.
"""

from __future__ import annotations

import grp
import importlib.util
import json
import os
import platform
import shutil
import struct
import sys
from importlib import metadata
from pathlib import Path

# packages of the system with machine code that other packages of the system were built against
PINNED = ("numpy", "simplejpeg")


def main(folder: str, python: str) -> None:
    """Print the facts."""
    libc, libc_version = platform.libc_ver()
    facts = {
        "executable": python,
        "python": list(sys.version_info[:3]),
        "machine": platform.machine(),
        "bits": 8 * struct.calcsize("P"),
        "libc": libc,
        "libc_version": [int(part) for part in libc_version.split(".")[:2] if part.isdigit()],
        "venv": importlib.util.find_spec("ensurepip") is not None,
        "picamera2": importlib.util.find_spec("picamera2") is not None,
        "pinned": pinned(),
        "groups": [one.gr_name for one in grp.getgrall()],
        "free": shutil.disk_usage(existing(Path(folder).expanduser())).free,
        "home": str(Path.home()),
        "data": os.environ.get("XDG_DATA_HOME", ""),
        "cameras": sorted(str(path) for path in Path("/dev").glob("video*")),
    }
    sys.stdout.write(json.dumps(facts) + "\n")


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    while not path.is_dir():
        path = path.parent
    return path


def pinned() -> dict[str, str]:
    """Versions of those of ``PINNED`` that are installed."""
    found = {}
    for name in PINNED:
        for one in metadata.distributions(name=name):
            found[name] = one.version
            break
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
