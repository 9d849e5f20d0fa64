"""The part of docs/virtual-pi.md that says what was run: written from the test's own record."""

from __future__ import annotations

import json
from pathlib import Path

from . import host

DOCS = host.REPOSITORY / "docs"
RECORD = DOCS / "virtual-pi.json"
PAGE = DOCS / "virtual-pi.md"
BEGIN = "<!-- from virtual-pi.json, by scripts/pi_vm test; do not edit -->"
END = "<!-- end -->"


def table(record: Path = RECORD) -> str:
    """What was seen to work, in its order."""
    found = json.loads(record.read_text(encoding="utf-8"))
    machine = found["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    rows = [f"| {step['what']} | {step['seconds']} |" for step in found["steps"]]
    return "\n".join(
        [
            f"Run {found['date']} at commit {found['commit']}, on {machine['kernel']}, systemd"
            f" {machine['systemd']}, Python {machine['python']}; the device installed {packages}.",
            "",
            "| what was seen to work | emulated, s |",
            "|---|---:|",
            *rows,
        ]
    )


def page(table: str) -> str:
    """The page with that table in it."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def write() -> None:
    PAGE.write_text(page(table()), encoding="utf-8")
