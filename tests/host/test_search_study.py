"""The search's book-keeping, with jobs that do not train."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed; run: pip install 'edgenet[search]'")
from edgenet.errors import TrainingError, UsageError
from edgenet.host import recipe
from edgenet.host.search import Found, Plan, Search
from edgenet.host.settings import Settings
from edgenet.spec import ModelSpec, Preprocess

SPECS = {
    f"mobilenet_v1_{alpha}_32": ModelSpec("mobilenet_v1", alpha, ("a", "b"), Preprocess(32, 32))
    for alpha in (0.5, 0.25, 0.75)
}


def plan(**changes: object) -> Plan:
    return Plan(
        **({"data": "digits", "specs": SPECS, "recipe": recipe.load("quick", ())} | changes)
    )


def job(settings: Settings, folder: Path) -> Found:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "times").open("a") as file:
        file.write("once\n")
    return Found(top1=settings.spec.alpha / 2 + settings.recipe.optimizer.lr, images=10, seconds=60)


def killed(settings: Settings, folder: Path) -> Found:
    job(settings, folder)
    raise KeyboardInterrupt


def test_every_network_is_trained_once_in_the_order_given(tmp_path):
    said: list[str] = []
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job, tell=said.append)
    assert [line.split()[2].strip(",") for line in said[::2]] == list(SPECS)
    assert [one.name for one in found] == sorted(SPECS, reverse=True)
    assert {one.lr for one in found} == {recipe.load("quick", ()).optimizer.lr}
    assert (tmp_path / "s" / "results.json").is_file()


def test_more_trials_choose_other_learning_rates(tmp_path):
    found = Search(tmp_path / "s", plan()).run(trials=6, job=job)
    assert len({one.lr for one in found}) == 4
    base = recipe.load("quick", ()).optimizer.lr
    assert all(0.3 * base <= one.lr <= 3 * base for one in found)


def test_a_search_goes_on_where_it_was(tmp_path):
    assert len(Search(tmp_path / "s", plan()).run(trials=1, job=job)) == 1
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job)
    assert {one.name for one in found} == set(SPECS)
    for one in found:
        assert (tmp_path / "s" / one.folder / "times").read_text() == "once\n"


def test_a_trial_that_was_killed_goes_on_in_its_own_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Search(tmp_path / "s", plan()).run(trials=3, job=killed)
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job)
    assert {one.name for one in found} == set(SPECS)
    folders = sorted(path.name for path in (tmp_path / "s" / "trials").iterdir())
    assert len(folders) == 3
    assert (tmp_path / "s" / "trials" / folders[0] / "times").read_text() == "once\nonce\n"


def test_a_trial_that_failed_ends_the_run_and_comes_again(tmp_path):
    def failing(settings: Settings, folder: Path) -> Found:
        return (
            Found(error="the disk is full")
            if settings.spec.alpha == 0.25
            else job(settings, folder)
        )

    with pytest.raises(TrainingError, match="the disk is full; what was trained is kept"):
        Search(tmp_path / "s", plan()).run(trials=3, job=failing)
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job)
    assert {one.name for one in found} == set(SPECS)


def test_no_trial_starts_after_the_budget_of_time_is_spent(tmp_path):
    found = Search(tmp_path / "s", plan()).run(trials=3, seconds=100, job=job)
    assert len(found) == 2
    assert len(Search(tmp_path / "s", plan()).run(trials=3, seconds=100, job=job)) == 2


def test_another_plan_in_the_same_folder_is_refused(tmp_path):
    Search(tmp_path / "s", plan())
    with pytest.raises(UsageError, match="another folder"):
        Search(tmp_path / "s", plan(seed=1))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "x").touch()
    with pytest.raises(UsageError, match="not empty"):
        Search(tmp_path / "t", plan())
