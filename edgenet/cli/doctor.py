"""``edgenet doctor``: what is installed, what is wrong, and the command that mends it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgenet.doctor.examine import Check
    from edgenet.doctor.facts import Facts

_PARTS = {
    "base": "edgenet itself",
    "engine": "inference engines (one is needed to run bundles)",
    "image": "pictures",
    "device": "accelerators",
    "mcu": "microcontrollers (target mcu; other targets do without)",
    "host": "training and exporting (a PC's work; a device does without)",
}
_COLOURS = {"ok": "green", "warning": "yellow", "missing": "yellow", "broken": "red"}


@click.command(short_help="Check what is installed and how to mend what is not.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(as_json: bool) -> None:
    """Check what is installed on this machine and how to mend what is not.

    Ends with 0 when this machine can run bundles, else with 1.
    """
    from edgenet.doctor.examine import examine, ready
    from edgenet.doctor.facts import gather

    facts = gather()
    checks = examine(facts)
    able = ready(checks)
    click.echo(_json(facts, checks, able) if as_json else _text(facts, checks, able))
    sys.exit(0 if able else 1)


def _json(facts: Facts, checks: list[Check], able: bool) -> str:
    import msgspec

    found = {
        "can_run_bundles": able,
        "python": facts.python,
        "executable": facts.executable,
        "os": facts.system.os,
        "architecture": facts.system.architecture,
        "glibc": ".".join(map(str, facts.system.glibc)) if facts.system.glibc else None,
        "checks": checks,
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _text(facts: Facts, checks: list[Check], able: bool) -> str:
    lines = [f"{facts.system}: {facts.executable}"]
    for part, title in _PARTS.items():
        own = [check for check in checks if check.part == part]
        lines += ["", title] if own else []
        for check in own:
            lines += _lines(check)
    verdict = (
        click.style("this machine can run bundles", fg="green")
        if able
        else click.style("this machine cannot run bundles yet", fg="red")
    )
    return "\n".join([*lines, "", verdict])


def _lines(check: Check) -> list[str]:
    mark = click.style(f"{check.status:<8}", fg=_COLOURS[check.status])
    name = f"{check.name} {check.found}" if check.found else f"{check.name} ({check.wanted})"
    lines = [f"  {mark} {name}{': ' + check.says if check.says else ''}"]
    if check.mend:
        lines.append(f"           {check.mend}")
    return lines
