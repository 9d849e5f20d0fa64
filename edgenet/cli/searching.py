"""``edgenet fit --search``: the front's networks, trained on one's own data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgenet.cli import output
from edgenet.cli.progress import StageProgress
from edgenet.errors import LimitExceeded, TrainingError, UsageError

if TYPE_CHECKING:
    from edgenet.fit.record import Fit
    from edgenet.fit.trained import Result
    from edgenet.host.recipe import Recipe
    from edgenet.host.search import Workers
    from edgenet.host.study import Plan

_OPTIONS = (
    click.option(
        "--search",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Train the front's networks on --data here; the same command goes on after a kill.",
    ),
    click.option(
        "--trials", type=click.IntRange(1), help="Of --search.  [default: one for each network]"
    ),
    click.option(
        "--max-hours",
        type=click.FloatRange(min=0, min_open=True),
        help="Of --search's training, of all trials together: none starts later, and the last may "
        "run over.",
    ),
    click.option(
        "--epochs", type=click.IntRange(1), help="Of each trial.  [default: the recipe's]"
    ),
    click.option("--recipe", metavar="NAME|FILE.toml", help="How trials learn."),
    click.option("--seed", type=click.IntRange(0), default=0, help="Of trials.", metavar="N"),
    click.option(
        "--ray", metavar="ADDRESS|auto|local", help="Train on a Ray cluster, or on this machine's."
    ),
    click.option("--workers", type=click.IntRange(1), help="With --ray: trials at a time."),
)
_ONLY = ("trials", "max_hours", "epochs", "recipe", "ray", "workers")


def search_options(command: Any) -> Any:
    """All that says how ``--search`` trains."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check(options: dict[str, Any]) -> None:
    """Before anything is predicted.

    Raises:
        UsageError: an option of a search without one, or a search without data.
    """
    if options["folder"] is None:
        for name in _ONLY:
            if options[name] is not None:
                word = name.replace("_", "-")
                raise UsageError(
                    f"--{word} says how --search trains; give --search DIR, or drop it"
                )
        return
    if options["data"] is None:
        raise UsageError("--search trains on your pictures; give them with --data")
    if options["classes"] is not None:
        raise UsageError("--search trains the classes of --data; drop --classes")
    if options["workers"] is not None and options["ray"] is None:
        raise UsageError("--workers are Ray's; give --ray local, or drop it")
    if options["recipe"] is not None:
        _recipe(options["recipe"], None)


def search(found: Fit, options: dict[str, Any]) -> list[Result]:
    """Train what fits, within the budget; ``--html`` is written, too.

    Raises:
        LimitExceeded: nothing fits.
        TrainingError: trials failed, or the user interrupted; what others gave was shown.
    """
    from edgenet.host.search import Search
    from edgenet.report import fit_text

    if found.recommended is None:
        raise LimitExceeded(fit_text.shortfall(found))
    with StageProgress() as progress:
        progress("loading torch", 0, 1)
        plan = _plan(found, options, progress)
        progress("loading torch", 1, 1)
        one = Search(options["folder"], plan)
        hours = options["max_hours"]
        try:
            with closing(_workers(options)) as workers:
                results = one.run(
                    trials=options["trials"] or len(plan.specs),
                    seconds=None if hours is None else 3600 * hours,
                    workers=workers,
                    tell=progress.say,
                )
        except TrainingError:
            if results := one.results():
                show(found, results, options)
                _save(found, results, options)
            raise
    _save(found, results, options)
    return results


def show(found: Fit, results: Sequence[Result], options: dict[str, Any]) -> None:
    """The table of what was trained."""
    from edgenet.report import fit_search

    if options["as_json"]:
        click.echo(json.dumps(fit_search.record(found, results), indent=2))
    else:
        folder, data = str(options["folder"]), options["data"]
        click.echo(fit_search.text(found, results, folder, data), nl=False)


def _save(found: Fit, results: Sequence[Result], options: dict[str, Any]) -> None:
    from edgenet.report import fit_search_page

    if options["html_file"] is not None:
        folder, data = str(options["folder"]), options["data"]
        output.save(options["html_file"], fit_search_page.page(found, results, folder, data))


def _plan(found: Fit, options: dict[str, Any], progress: StageProgress) -> Plan:
    from edgenet.dataset import open_dataset
    from edgenet.host.settings import default_recipe, default_spec
    from edgenet.host.study import Plan

    data = from_anywhere(options["data"])
    labels = open_dataset(data, progress=progress).labels
    fitting = [row for row in found.rows if row.fits]
    # the most promising first: they are the ones that a small budget is spent on
    front = sorted(
        [row for row in fitting if row.front] or fitting,
        key=lambda row: (-(row.accuracy.top1 if row.accuracy else 0), -row.macs),
    )
    specs = {}
    for row in front:
        wanted = {"arch": row.point.arch, "alpha": row.point.alpha, "imgsz": row.point.side}
        specs[row.name] = default_spec(data, labels, init=None, wanted=wanted)
    recipe = _recipe(options["recipe"] or default_recipe(data), options["epochs"])
    return Plan(data, specs, recipe, options["seed"])


def from_anywhere(data: str) -> str:
    """A data set as another process finds it that works in another folder.

    >>> from_anywhere("digits"), from_anywhere("cifar10"), from_anywhere("cifar10:/shared/cifar")
    ('digits', 'cifar10', 'cifar10:/shared/cifar')
    """
    from edgenet.dataset import NAMES

    if data in NAMES:
        return data
    name, colon, place = data.partition(":")
    if colon and name in NAMES:
        return f"{name}:{Path(place).resolve()}"
    return str(Path(data).resolve())


def _recipe(word: str, epochs: int | None) -> Recipe:
    from edgenet.host import recipe as recipes

    found = recipes.load(word, ())
    if found.qat:
        raise UsageError(
            f"{word} tunes one trained network, by edgenet train --qat; choose another --recipe"
        )
    return recipes.scaled(found, epochs=epochs)


def _workers(options: dict[str, Any]) -> Workers:
    from edgenet.host.cluster import Cluster
    from edgenet.host.search import Here

    if options["ray"] is None:
        return Here()
    return Cluster(options["ray"], options["workers"] or 2)
