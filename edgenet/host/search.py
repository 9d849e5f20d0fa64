"""Trains the front's networks on one's own data, as Optuna chooses them, under a budget.

Every network is trained once, the most promising first; trials beyond that choose network and
learning rate by what was found so far.  The study lies in the search's folder and goes on after a
kill: a trial that was interrupted goes on with its own run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edgenet.errors import EdgenetError, MissingPackage, RecordError, TrainingError, UsageError
from edgenet.files import write_atomic
from edgenet.fit.trained import Result
from edgenet.host.recipe import Recipe
from edgenet.host.settings import Settings
from edgenet.spec import ModelSpec

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

LR = (0.3, 3.0)
"""Factors of the recipe's learning rate that are tried, from and to."""


class Plan(msgspec.Struct, frozen=True):
    """What decides a search's result; the budget may change when it goes on.

    Attributes:
        data: the data set, as ``open_dataset`` takes it.
        specs: the networks by name, the most promising first.
        recipe: how they learn.
        seed: of the first weights and of Optuna's choices.
    """

    data: str
    specs: dict[str, ModelSpec]
    recipe: Recipe
    seed: int = 0

    def settings(self, name: str, factor: float) -> Settings:
        """Of one trial's run."""
        replace = msgspec.structs.replace
        optimizer = replace(self.recipe.optimizer, lr=self.recipe.optimizer.lr * factor)
        recipe = replace(self.recipe, optimizer=optimizer)
        return Settings(data=self.data, spec=self.specs[name], recipe=recipe, seed=self.seed)


class Found(msgspec.Struct, frozen=True):
    """What a run gave: top-1 and the pictures that it was counted on, or why it failed."""

    top1: float = 0.0
    images: int = 0
    seconds: float = 0.0
    error: str = ""


Job = Callable[[Settings, Path], Found]


class Workers(Protocol):
    """Who trains.

    Attributes:
        count: runs at a time.
    """

    count: int

    def start(self, job: Job, settings: Settings, folder: Path) -> object: ...
    def first(self, running: Sequence[object]) -> tuple[object, Found]: ...
    def close(self) -> None: ...


class Here:
    """This process trains, one run after the other."""

    count = 1

    def start(self, job: Job, settings: Settings, folder: Path) -> object:
        return job, settings, folder

    def first(self, running: Sequence[Any]) -> tuple[object, Found]:
        job, settings, folder = running[0]
        return running[0], job(settings, folder)

    def close(self) -> None:
        """Nothing to give back."""


def train_one(settings: Settings, folder: Path) -> Found:
    """Train, or go on, or read what came of it; what a user can cause is the answer's error."""
    from edgenet.host import checkpoint
    from edgenet.host.run import Run
    from edgenet.host.train import Machine, train

    started, run = time.monotonic(), Run(folder)
    try:
        if not run.finished:
            train(settings, folder, machine=Machine(), resume=run.settings.is_file())
        record = checkpoint.read_record(folder)
    except EdgenetError as error:
        return Found(error=str(error), seconds=time.monotonic() - started)
    evaluated = record.data["evaluated_on"]
    images = record.data["images"][evaluated]
    return Found(record.metrics[f"{evaluated}_top1"], images, time.monotonic() - started)


class Search:
    """A search's folder.

    Args:
        folder: where study, runs and table lie; made where it is not there.
        plan: what decides the result.

    Raises:
        MissingPackage: Optuna is not installed.
        UsageError: the folder holds a search of another plan, or something else.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self._claim()
        self._study = _open(folder / "study.log", plan)
        for trial in self._study.get_trials(states=(_state("RUNNING"),)):
            # interrupted: its network and learning rate come again, in the folder of its run
            self._study.tell(trial.number, state=_state("FAIL"))
            self._study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)

    def run(
        self,
        *,
        trials: int,
        seconds: float | None = None,
        workers: Workers | None = None,
        job: Job = train_one,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> list[Result]:
        """Train until the budget is spent; what was trained before counts.

        Args:
            trials: that finish, in all.
            seconds: of training after which none starts any more, in all.
            workers: who trains; this process by default.
            job: what they do.
            tell: told of each trial that ends, in a sentence.

        Raises:
            TrainingError: a trial failed; the others are kept.
        """
        workers = workers or Here()
        running: dict[object, tuple[Trial, float]] = {}
        failed = ""
        while True:
            while len(running) < workers.count and not failed:
                if not self._more(trials, seconds, len(running)):
                    break
                trial = self._study.ask()
                settings, folder = self._next(trial)
                tell(f"trial {trial.number}: {trial.params['network']}, lr {_lr(settings):.3g}")
                started = workers.start(job, settings, folder)
                running[started] = trial, _lr(settings)
            if not running:
                break
            ended, found = workers.first(list(running))
            trial, lr = running.pop(ended)
            failed = failed or found.error
            self._ended(trial, lr, found)
            tell(f"trial {trial.number}: {found.error or f'top-1 {found.top1:.2%}'}")
        if failed:
            raise TrainingError(f"{failed}; what was trained is kept, the same command goes on")
        return self.results()

    def results(self) -> list[Result]:
        """Finished trials, the most accurate first."""
        done = self._study.get_trials(states=(_state("COMPLETE"),))
        return sorted(map(_result, done), key=lambda one: (-one.top1, one.trial))

    def _claim(self) -> None:
        file = self.folder / "search.json"
        if file.is_file():
            try:
                known = msgspec.json.decode(file.read_bytes(), type=Plan)
            except msgspec.DecodeError as error:
                raise RecordError(f"{file} is malformed: {error}") from error
            if known != self.plan:
                raise UsageError(
                    f"{self.folder} holds a search of other networks, data or learning; repeat its"
                    " options, or choose another folder"
                )
            return
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise UsageError(f"{self.folder} is not empty; choose another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, msgspec.json.format(msgspec.json.encode(self.plan), indent=2))

    def _more(self, trials: int, seconds: float | None, running: int) -> bool:
        done = self._study.get_trials(states=(_state("COMPLETE"),))
        spent = sum(trial.user_attrs["seconds"] for trial in done)
        return len(done) + running < trials and (seconds is None or spent < seconds)

    def _next(self, trial: Trial) -> tuple[Settings, Path]:
        name = trial.suggest_categorical("network", list(self.plan.specs))
        factor = trial.suggest_float("lr_factor", *LR, log=True)
        place = trial.user_attrs.get("folder", f"trials/{trial.number:03}-{name}")
        trial.set_user_attr("folder", place)
        return self.plan.settings(str(name), factor), self.folder / place

    def _ended(self, trial: Trial, lr: float, found: Found) -> None:
        spent = trial.user_attrs.get("seconds", 0.0) + found.seconds
        for key, value in (("seconds", spent), ("lr", lr), ("images", found.images)):
            trial.set_user_attr(key, value)
        if found.error:
            self._study.tell(trial, state=_state("FAIL"))
            self._study.enqueue_trial(
                trial.params, user_attrs={"folder": trial.user_attrs["folder"]}
            )
            return
        self._study.tell(trial, found.top1)
        text = msgspec.json.format(msgspec.json.encode(self.results()), indent=2)
        write_atomic(self.folder / "results.json", text + b"\n")


def _lr(settings: Settings) -> float:
    return settings.recipe.optimizer.lr


def _result(trial: FrozenTrial) -> Result:
    known: Mapping[str, Any] = trial.user_attrs
    return Result(
        trial=trial.number,
        name=trial.params["network"],
        lr=known["lr"],
        top1=trial.value or 0.0,
        images=known["images"],
        seconds=known["seconds"],
        folder=known["folder"],
    )


def _open(log: Path, plan: Plan) -> Study:
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise MissingPackage("Optuna", "search", needed_for="searching networks") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    new = not log.exists()
    study = optuna.create_study(
        study_name="fit",
        storage=JournalStorage(JournalFileBackend(str(log))),
        sampler=optuna.samplers.TPESampler(seed=plan.seed, n_startup_trials=len(plan.specs)),
        direction="maximize",
        load_if_exists=True,
    )
    if new:
        for name in plan.specs:
            study.enqueue_trial({"network": name, "lr_factor": 1.0})
    return study


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]
