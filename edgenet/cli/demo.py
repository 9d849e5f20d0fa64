"""``edgenet demo``: the whole chain on pictures that come with it, as the commands a user types."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli import output as files
from edgenet.errors import UsageError

if TYPE_CHECKING:
    from edgenet.drift.record import DriftReport
    from edgenet.profile.record import Profile, Run

DATA = "digits"
TARGET = "pc"


@click.command(short_help="Train, export, evaluate and profile a small model.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for what is made.  [default: the first free of edgenet-demo, edgenet-demo-2, ...]",
)
def command(output: Path | None) -> None:
    """Train a MobileNet on handwritten digits, export it, check it and measure it; some minutes.

    Every step is shown as the command that does it.
    """
    folder = output or _free(Path("edgenet-demo"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name another folder with -o")
    model, bundle, page = folder / "model", folder / "bundle", folder / "report.html"
    _type("train", "--data", DATA, "-o", model)
    _type("export", "--target", TARGET, "--model", model, "--data", DATA, "-o", bundle)
    _type("verify", bundle)
    report: DriftReport = _type("evaluate", bundle, "--data", DATA, "--layers")
    profile: Profile = _type("profile", bundle)
    _save_page(page, report, profile)
    click.echo(f"\n{_results(report, profile)}\n")
    click.echo(f"Report with plots: {page.resolve()}")
    click.echo("Next:")
    click.echo(f"  edgenet profile {bundle} --op-profile")
    click.echo("  edgenet export --target rpi")
    click.echo("  edgenet train --data YOUR_PICTURES -o my-model")


def _free(wanted: Path) -> Path:
    number, path = 1, wanted
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


def _type(*words: str | Path) -> Any:
    """Show a command and run it as if it had been typed; what its function returns."""
    from edgenet.cli.main import main

    typed = [str(word) for word in words]
    click.secho(f"\n$ edgenet {shlex.join(typed)}", bold=True)
    sys.stdout.flush()
    found = main.main(typed, prog_name="edgenet", standalone_mode=False)
    if isinstance(found, int) and found:  # an exit code
        click.get_current_context().exit(found)
    return found


def _save_page(path: Path, report: DriftReport, profile: Profile) -> None:
    from edgenet.report import drift_page, html, profile_page

    sections = [*drift_page.sections(report), *profile_page.sections(profile)]
    title = f"{profile.bundle}: accuracy, drift and latency"
    files.save(path, html.page(title, sections, lead=profile_page.lead(profile)))


def _results(report: DriftReport, profile: Profile) -> str:
    from edgenet.report import text, units
    from edgenet.report.drift import percent, points

    fastest: dict[str, Run] = {}
    for run in profile.runs:
        best = fastest.setdefault(run.variant, run)
        if run.stats["total"].p50_ms < best.stats["total"].p50_ms:
            fastest[run.variant] = run
    rows = [
        (
            result.variant,
            units.size(fastest[result.variant].model_bytes),
            percent(result.top1.value),
            points(result.drift.top1.value) if result.drift else None,
            units.ms(fastest[result.variant].stats["total"].p50_ms),
            fastest[result.variant].threads,
            "THROTTLED" if fastest[result.variant].throttled else "",
        )
        for result in report.results
        if result.variant in fastest
    ]
    return text.table(("model", "size", "top-1", "drift", "p50 ms", "threads", ""), rows)
