"""The search's book-keeping, with jobs that do not train."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed; run: pip install 'edgenet[search]'")
from edgenet.errors import RecordError, TrainingError, UsageError
from edgenet.host import recipe, train
from edgenet.host.search import Job, Search, train_one
from edgenet.host.settings import Settings
from edgenet.host.study import Found, Plan, Study, Trial
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


class Killed(BaseException):
    """As SIGKILL: nobody can do anything about it."""


def killed(settings: Settings, folder: Path) -> Found:
    job(settings, folder)
    raise Killed


def failing(settings: Settings, folder: Path) -> Found:
    """The most promising network never comes to its end."""
    if settings.spec.alpha == 0.5:
        return Found(error="the disk is full", seconds=30)
    return job(settings, folder)


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def networks(said: list[str]) -> list[str]:
    """Of the trials that were started, in their order."""
    return [line.split()[2].strip(",") for line in said if ", lr " in line]


def test_every_network_is_trained_once_in_the_order_given(tmp_path):
    said: list[str] = []
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job, tell=said.append)
    assert networks(said) == list(SPECS)
    assert [one.name for one in found] == sorted(SPECS, reverse=True)
    assert {one.lr for one in found} == {recipe.load("quick", ()).optimizer.lr}
    assert (tmp_path / "s" / "results.json").is_file()


def test_more_trials_choose_other_learning_rates(tmp_path):
    found = Search(tmp_path / "s", plan()).run(trials=6, job=job)
    assert len({one.lr for one in found}) == 4
    base = recipe.load("quick", ()).optimizer.lr
    assert all(0.3 * base <= one.lr <= 3 * base for one in found)


def test_a_search_that_stops_on_its_way_finds_what_one_finds_that_does_not(tmp_path):
    at_once = Search(tmp_path / "s", plan()).run(trials=6, job=job)
    for trials in (2, 4, 6):
        in_parts = Search(tmp_path / "t", plan()).run(trials=trials, job=job)
    assert in_parts == at_once
    for one in in_parts:
        assert (tmp_path / "t" / one.folder / "times").read_text() == "once\n"


def test_a_trial_that_was_killed_goes_on_before_all_others_in_its_own_folder(tmp_path):
    with pytest.raises(Killed):
        Search(tmp_path / "s", plan()).run(trials=3, job=killed)
    first = next(iter(SPECS))
    (found,) = Search(tmp_path / "s", plan()).run(trials=1, job=job)
    assert found.name == first
    (folder,) = (tmp_path / "s" / "trials").iterdir()
    assert (folder / "times").read_text() == "once\nonce\n"
    rest = Search(tmp_path / "s", plan()).run(trials=3, job=job)
    assert {one.name for one in rest} == set(SPECS)


def test_a_search_that_was_killed_at_its_first_trial_forgets_no_network(tmp_path, monkeypatch):
    def cut(self: Study) -> Trial:
        start(self)
        raise Killed

    start = Study.next
    monkeypatch.setattr(Study, "next", cut)
    with pytest.raises(Killed):
        Search(tmp_path / "s", plan()).run(trials=3, job=job)
    monkeypatch.undo()
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job)
    assert {one.name for one in found} == set(SPECS)


def test_a_trial_that_fails_keeps_no_other_from_its_turn(tmp_path):
    said: list[str] = []
    first, *others = SPECS
    with pytest.raises(TrainingError, match=rf"{first}: the disk is full; the others are kept"):
        Search(tmp_path / "s", plan()).run(trials=3, job=failing, tell=said.append)
    assert networks(said) == list(SPECS)
    assert {one.name for one in Search(tmp_path / "s", plan()).results()} == set(others)


def test_what_failed_comes_again_after_networks_that_were_never_tried(tmp_path):
    with pytest.raises(TrainingError, match="the disk is full"):
        Search(tmp_path / "s", plan()).run(trials=1, job=failing)
    said: list[str] = []
    found = Search(tmp_path / "s", plan()).run(trials=3, job=job, tell=said.append)
    first, *others = SPECS
    assert networks(said) == [*others, first]
    assert {one.name for one in found} == set(SPECS)
    assert len(list((tmp_path / "s" / "trials").iterdir())) == 3


def test_a_search_whose_every_trial_fails_ends_and_tries_nothing_twice(tmp_path):
    tried: list[tuple[str, float]] = []

    def broken(settings: Settings, folder: Path) -> Found:
        tried.append((folder.name[4:], settings.recipe.optimizer.lr))
        return Found(error="no memory")

    with pytest.raises(TrainingError, match="no memory"):
        Search(tmp_path / "s", plan()).run(trials=6, job=broken)
    assert len(tried) == len(set(tried)) == 6


def test_an_interrupted_search_says_one_thing_to_do(tmp_path):
    def stopped(settings: Settings, folder: Path) -> Found:
        raise KeyboardInterrupt

    with pytest.raises(TrainingError, match=r"^interrupted; the same command goes on$"):
        Search(tmp_path / "s", plan()).run(trials=3, job=stopped)


def test_ctrl_c_in_the_midst_of_a_run_stops_the_search_and_not_the_run_alone(tmp_path, monkeypatch):
    class Trainer:
        def fit(self, *args: object, **options: object) -> None:
            raise SystemExit(1)  # as Lightning ends, once it has caught the key

    def interrupted(settings: Settings, folder: Path, **options: object) -> None:
        train._fit(Trainer(), None, None, folder)

    monkeypatch.setattr(train, "train", interrupted)
    started: list[str] = []
    with pytest.raises(TrainingError, match=r"^interrupted; the same command goes on$"):
        Search(tmp_path / "s", plan()).run(trials=3, tell=started.append)
    assert len(started) == 1


@pytest.mark.parametrize("error", [RuntimeError("out of memory\nat 0x0"), OSError("disk full")])
def test_what_torch_and_the_disk_refuse_is_the_failure_of_a_trial(tmp_path, monkeypatch, error):
    def refused(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(train, "train", refused)
    found = train_one(plan().settings(next(iter(SPECS)), 1.0), tmp_path / "run")
    assert found.error == str(error).splitlines()[0]
    assert found.seconds > 0


def test_no_trial_starts_after_the_budget_of_time_is_spent(tmp_path):
    found = Search(tmp_path / "s", plan()).run(trials=3, seconds=100, job=job)
    assert len(found) == 2
    assert len(Search(tmp_path / "s", plan()).run(trials=3, seconds=100, job=job)) == 2


def test_time_counts_that_failed_and_that_was_killed(tmp_path):
    clock = Clock()

    def dies(settings: Settings, folder: Path) -> Found:
        job(settings, folder)
        os.utime(folder / "times", (clock.now + 40, clock.now + 40))
        clock.now += 1000  # until somebody saw that it was dead
        raise Killed

    with pytest.raises(TrainingError):
        Search(tmp_path / "s", plan(), clock=clock).run(trials=1, job=failing)
    with pytest.raises(Killed):
        Search(tmp_path / "s", plan(), clock=clock).run(trials=1, job=dies)
    study = Study(tmp_path / "s", plan(), clock=clock)
    assert study.spent() == pytest.approx(30 + 40)
    # 60 s more, and the budget is spent
    found = Search(tmp_path / "s", plan(), clock=clock).run(trials=3, seconds=71, job=job)
    assert [one.seconds for one in found] == [pytest.approx(40 + 60)]


def test_the_time_of_trials_that_still_run_counts(tmp_path):
    clock = Clock()
    given: list[str] = []

    class Two:
        count = 2

        def start(self, job: Job, settings: Settings, folder: Path) -> object:
            given.append(folder.name)
            return folder.name, settings

        def first(self, running: Sequence[Any]) -> tuple[object, Found]:
            # the later one ends first
            clock.now += 60
            return running[-1], Found(top1=0.5, images=10, seconds=60)

        def close(self) -> None: ...

    search = Search(tmp_path / "s", plan(), clock=clock)
    assert len(search.run(trials=3, seconds=100, workers=Two())) == 2
    assert len(given) == 2


def test_a_worker_that_died_is_counted_until_it_wrote_for_the_last_time(tmp_path):
    clock = Clock()

    def died(settings: Settings, folder: Path) -> Found:
        job(settings, folder)
        os.utime(folder / "times", (clock.now + 50, clock.now + 50))
        return Found(error="a worker failed")

    with pytest.raises(TrainingError, match="a worker failed"):
        Search(tmp_path / "s", plan(), clock=clock).run(trials=1, job=died)
    assert Study(tmp_path / "s", plan(), clock=clock).spent() == pytest.approx(50)


def test_a_folder_has_one_search_at_a_time(tmp_path):
    refused: list[str] = []

    def second(settings: Settings, folder: Path) -> Found:
        with pytest.raises(UsageError) as caught:
            Search(tmp_path / "s", plan()).run(trials=3, job=job)
        refused.append(str(caught.value))
        return job(settings, folder)

    Search(tmp_path / "s", plan()).run(trials=1, job=second)
    assert f"is being trained by another process (pid {os.getpid()}" in refused[0]
    # whoever held it is gone
    assert len(Search(tmp_path / "s", plan()).run(trials=3, job=job)) == 3


def test_another_plan_in_the_same_folder_is_refused(tmp_path):
    Search(tmp_path / "s", plan()).run(trials=1, job=job)
    with pytest.raises(UsageError, match="another folder"):
        Search(tmp_path / "s", plan(seed=1))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "x").touch()
    with pytest.raises(UsageError, match="not empty"):
        Search(tmp_path / "t", plan())


def test_a_search_that_was_killed_before_it_had_a_plan_begins_anew(tmp_path, monkeypatch):
    def cut(path: Path, content: bytes) -> None:
        path.with_name(f".{path.name}.0").write_bytes(content[:10])
        raise Killed

    monkeypatch.setattr("edgenet.host.search.write_atomic", cut)
    with pytest.raises(Killed):
        Search(tmp_path / "s", plan()).run(trials=1, job=job)
    monkeypatch.undo()
    assert len(Search(tmp_path / "s", plan()).run(trials=1, job=job)) == 1


def test_nothing_is_written_before_the_search_runs(tmp_path):
    Search(tmp_path / "s", plan())
    assert not (tmp_path / "s").exists()


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot use .*: Not a directory"):
        Search(tmp_path / "file" / "s", plan()).run(trials=1, job=job)


def test_a_full_disk_ends_the_search_in_a_sentence(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("edgenet.host.study.write_atomic", full)
    with pytest.raises(RecordError, match=r"trials.json cannot be written: No space left"):
        Search(tmp_path / "s", plan()).run(trials=1, job=job)


@pytest.mark.parametrize("name", ["trials.json", "search.json"])
def test_a_file_that_was_cut_is_refused_in_a_sentence(tmp_path, name):
    Search(tmp_path / "s", plan()).run(trials=1, job=job)
    file = tmp_path / "s" / name
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(RecordError, match=f"{name}.*another folder"):
        Search(tmp_path / "s", plan())
