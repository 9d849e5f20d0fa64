"""On the device: remove the releases that nobody goes back to, and what only they used."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from edgenet.deploy.layout import Layout

KEPT = 3


def tidy(layout: Layout, keep: int = KEPT) -> list[str]:
    """Keep the current and the previous release, and the newest others until there are ``keep``.

    Returns:
        The names of what was removed; nothing is where a release that stays does not say what it
        uses.
    """
    links = [Path(link) for link in (layout.current, layout.previous)]
    held = {link.readlink().name for link in links if link.is_symlink()}
    releases = sorted(Path(layout.releases).iterdir(), key=_deployed, reverse=True)
    for path in releases:
        if len(held) < keep and _record(path):
            held.add(path.name)
    used = {_record(Path(layout.release(name))).get("environment") for name in held}
    if None in used:
        return []
    removed = [path for path in releases if path.name not in held]
    removed += [path for path in _inside(layout.environments) if path.name not in used]
    removed += [path for path in _inside(layout.secrets) if path.name not in held]
    for path in removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [str(path.relative_to(layout.base)) for path in removed]


def _inside(folder: str) -> list[Path]:
    return list(Path(folder).iterdir()) if Path(folder).is_dir() else []


def _record(release: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((release / "release.json").read_bytes())
    except (OSError, ValueError):  # a copy that was cut off
        return {}
    return found


def _deployed(release: Path) -> str:
    return _record(release).get("deployed", "")


def main() -> None:
    """The command that a deployment ends with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--root", default="")
    asked = parser.parse_args()
    tidy(Layout(asked.name, asked.root))


if __name__ == "__main__":
    main()
