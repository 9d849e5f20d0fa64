"""``edgenet verify``: prove that this machine computes what the host computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgenet.cli.boards import board_options, device_of
from edgenet.cli.options import TargetName
from edgenet.errors import EngineError

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.runtime.litert import Resolver
    from edgenet.verify import Check


@click.command(short_help="Prove that this machine computes what the host computed.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--resolver",
    type=click.Choice(["auto", "reference", "no-delegate"]),
    default="auto",
    show_default=True,
    help="Kernels that LiteRT runs; auto is XNNPACK's.",
)
@click.option("--target", type=TargetName(), help="Target to run as.  [default: the bundle's]")
@board_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    bundle: Path,
    resolver: Resolver,
    target: str | None,
    board: str | None,
    port: str | None,
    as_json: bool,
) -> None:
    """Check every file of BUNDLE, and replay its golden frames through every model of it.

    int8 answers must be equal to the last digit; float answers within 1e-4 of the largest. On a
    microcontroller the program also proves every layer on frames of its own.
    Ends with exit code 1 when something differs, or when nothing could be run.
    """
    import msgspec

    from edgenet import verify
    from edgenet.bundle import Bundle

    opened = Bundle.open(bundle)
    with device_of(opened, target, board, port) as device:
        checks = verify.verify(opened, resolver=resolver, device=device)
        who = "This machine" if device is None else device.engine.name.partition(",")[0]
    if as_json:
        record = {"bundle": opened.manifest.name, "checks": msgspec.to_builtins(checks)}
        click.echo(json.dumps(record, indent=2))
    else:
        click.echo(_table(opened, checks))
    differing = [check for check in checks if check.status == "differs"]
    if differing:
        first = differing[0]
        where = f" of {first.variant}" if first.variant else ""
        raise EngineError(f"the {first.stage} stage{where} differs from the host's: {first.detail}")
    run = {
        check.variant for check in checks if check.stage == "logits" and check.status != "skipped"
    }
    if not run:
        reasons = "; ".join(dict.fromkeys(c.detail for c in checks if c.stage == "logits"))
        raise EngineError(f"no model could be run here, so nothing is proved: {reasons}")
    if not as_json:
        click.echo(_verdict(who, checks, skipped=len(opened.variants) - len(run)))


def _verdict(who: str, checks: list[Check], *, skipped: int) -> str:
    verdict = f"{who} computes what the host computed"
    if any(check.status == "other rounding" for check in checks):
        verdict += ", but for the rounding of its int8 kernels"
    if skipped:
        verdict += f"; {skipped} model{'s' if skipped > 1 else ''} could not be run"
    return f"{verdict}."


def _table(bundle: Bundle, checks: list[Check]) -> str:
    from edgenet.report.text import table

    frames = len(bundle.golden().frames)
    return "\n".join(
        [
            f"{bundle.root}: {bundle.manifest.name} for {bundle.manifest.target};"
            f" every file is as it was written; {frames} golden frames",
            table(
                ["stage", "model", "result", ""],
                [[c.stage, c.variant or "all", c.status, c.detail] for c in checks],
                texts=4,
            ),
        ]
    )
