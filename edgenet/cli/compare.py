"""``edgenet compare``: two profiles against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgenet.profile.compare import Comparison
    from edgenet.profile.record import Stage

_RECORD = click.Path(path_type=Path)


@click.command(short_help="Compare two profiles.")
@click.argument("first", type=_RECORD)
@click.argument("second", type=_RECORD)
@click.option(
    "--stage",
    type=click.Choice(["invoke", "preprocess", "postprocess", "total"]),
    default="invoke",
    show_default=True,
    help="Whose medians to compare.",
)
@click.option(
    "--max-ratio",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATIO",
    help="End with 3 where SECOND takes more than so many times as long.",
)
@click.option(
    "--anyway", is_flag=True, help="Judge --max-ratio even where the conditions were not the same."
)
@click.option("--json", "as_json", is_flag=True, help="Write the comparison as JSON.")
def command(
    first: Path, second: Path, stage: Stage, max_ratio: float | None, anyway: bool, as_json: bool
) -> Comparison:
    """Compare two records that edgenet profile --json wrote: SECOND over FIRST.

    For each model and number of threads that both have: the ratio of the medians, with a 95 %
    interval. A run in which the board was slowed down is marked, and what else differs is told.
    """
    import msgspec

    from edgenet.profile import profiles
    from edgenet.profile.compare import compare, judge
    from edgenet.report import profile_compare

    found = compare(
        profiles.read_one(first),
        profiles.read_one(second),
        names=(str(first), str(second)),
        stage=stage,
    )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo(profile_compare.text(found), nl=False)
    if max_ratio is not None:
        judge(found, max_ratio, anyway=anyway)
    return found
