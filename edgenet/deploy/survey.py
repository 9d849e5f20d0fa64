"""What is deployed on a device; run there by its own Python, as ``probe`` is.

Its argument is a JSON object with the paths of the deployment; it answers with JSON on a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SHOWN = "ActiveState,SubState,Result,NRestarts,StatusText,ActiveEnterTimestamp"


def main(asked: dict[str, str]) -> None:
    """Print what is there."""
    base, links = Path(asked["base"]), {}
    for name in ("current", "previous"):
        link = base / name
        links[name] = link.readlink().name if link.is_symlink() else None
    releases = sorted((base / "releases").glob("*/release.json"))
    answer = {
        "systemd": Path(asked["booted"]).is_dir(),
        "there": base.is_dir() and any(base.iterdir()),
        "claimed": (base / ".edgenet").exists(),
        "foreign": [path for path in asked["elsewhere"].split(":") if Path(path).exists()],
        **links,
        "releases": [record for path in releases if (record := read(path)) is not None],
        "outcome": read(base / "outcome.json"),
        "enabled": Path(asked["unit"]).exists() and Path(asked["wants"]).exists(),
        "service": show(asked["service"]),
        "switching": show(asked["switch"]).get("ActiveState") in ("activating", "deactivating"),
        "trial": Path(asked["trial"]).exists(),
        "journal": said("journalctl", "-u", asked["service"], "-n", "10", "-o", "cat", "-q"),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def read(path: Path) -> object:
    """A JSON file; None where there is none, or half of one."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def show(unit: str) -> dict[str, str]:
    """Properties of a unit."""
    lines = said("systemctl", "show", unit, f"--property={SHOWN}")
    return dict(line.partition("=")[::2] for line in lines if "=" in line)


def said(*command: str) -> list[str]:
    """The lines of a command; none where it is missing or refuses."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
