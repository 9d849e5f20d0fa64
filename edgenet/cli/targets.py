"""``edgenet targets``: the devices that edgenet exports for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgenet.target import Target


@click.command(short_help="List the devices that edgenet exports for.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(as_json: bool) -> None:
    """List the targets that ship with edgenet, and what this machine lacks to run as one.

    A target is a folder; --target takes the path of one of your own too.
    """
    from edgenet import target
    from edgenet.report.text import table

    found = [target.load(name) for name in target.names()]
    if as_json:
        records = [
            {
                "name": t.name,
                "title": t.title,
                "backends": t.backends,
                "variants": t.variants,
                "quantize": t.description.quantize,
                "limits": t.limits,
                "missing": t.missing(),
                "lacks": target.lacking(t.backends[0]),
            }
            for t in found
        ]
        click.echo(json.dumps(records, indent=2))
        return
    rows = [
        [t.name, t.title, ", ".join(t.variants), " ".join(t.description.quantize), _runs_here(t)]
        for t in found
    ]
    click.echo(table(["target", "device", "models", "--quantize", "runs here"], rows, texts=5))


def _runs_here(target: Target) -> str:
    from edgenet.target import lacking

    requires = target.description.requires
    absent = target.missing()
    missing = [name.replace("|", " or ") for name in absent if name in requires.packages]
    if missing:
        return f"needs {', '.join(missing)}: pip install 'edgenet[{requires.extra}]'"
    if absent:
        return f"needs {', '.join(name.replace('|', ' or ') for name in absent)}"
    preferred = target.backends[0]
    return f"yes, but without {preferred}" if lacking(preferred) else "yes"
