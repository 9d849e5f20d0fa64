"""A search's trials, kept in its folder, and which one comes next.

What comes next follows from the plan and the trials so far alone, so a search that goes on chooses
as one that was never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgenet.errors import MissingPackage, RecordError
from edgenet.files import write_atomic
from edgenet.fit.trained import Result
from edgenet.host.recipe import Recipe
from edgenet.host.settings import Settings
from edgenet.spec import ModelSpec

State = Literal["running", "interrupted", "failed", "done"]

LR = (0.3, 3.0)
"""Factors of the recipe's learning rate that are tried, from and to."""


class Plan(msgspec.Struct, frozen=True):
    """What decides a search's result; the budget may change when it goes on.

    Attributes:
        data: the data set, as ``open_dataset`` takes it from any folder.
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
    """What a run gave: top-1 and the pictures that it was counted on, or why it failed.

    Attributes:
        top1: on the data's evaluation split.
        images: in that split.
        seconds: that this part of the run took; 0 where a worker died and nobody knows.
        error: empty where nothing failed.
    """

    top1: float = 0.0
    images: int = 0
    seconds: float = 0.0
    error: str = ""


class Trial(msgspec.Struct):
    """One network with one learning rate.

    Attributes:
        number: from 0, in the order of their first start.
        network: its name in the plan.
        factor: of the recipe's learning rate.
        state: how it stands; ``running`` in a file that nobody holds was interrupted.
        started: when its last part began, in seconds since 1970.
        seconds: that its parts took which ended.
        top1: of the trained network.
        images: that top-1 was counted on.
        error: why its last part failed.
    """

    number: int
    network: str
    factor: float
    state: State
    started: float
    seconds: float = 0.0
    top1: float = 0.0
    images: int = 0
    error: str = ""

    @property
    def folder(self) -> str:
        """Of its run, in the search's folder."""
        return f"trials/{self.number:03}-{self.network}"


class Study:
    """The trials of a search; who holds the folder's lock may change them.

    Args:
        folder: the search's.
        plan: its networks, and how they learn.
        clock: seconds since 1970.

    Raises:
        RecordError: the trials' file is malformed.
    """

    def __init__(self, folder: Path, plan: Plan, *, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.plan, self._clock = folder, plan, clock
        self._file = folder / "trials.json"
        self.trials = _read(self._file)
        for trial in self._of("running"):
            trial.seconds += self._until_last_kept(trial)
            trial.state = "interrupted"
        self._interrupted, self._failed = self._of("interrupted"), self._of("failed")

    def next(self) -> Trial:
        """Start what comes next.

        First what was interrupted, then each network once in the order of promise, then, once
        more, what failed before; after that what Optuna chooses.

        Raises:
            RecordError: the disk refuses.
        """
        tried = {trial.network for trial in self.trials}
        untried = [name for name in self.plan.specs if name not in tried]
        if self._interrupted:
            trial = self._interrupted.pop(0)
        elif untried:
            trial = self._new(untried[0], 1.0)
        elif self._failed:
            trial = self._failed.pop(0)
        else:
            trial = self._new(*self._chosen())
        trial.state, trial.started, trial.error = "running", self._clock(), ""
        self._keep()
        return trial

    def ended(self, trial: Trial, found: Found) -> None:
        """Keep what came of it.

        Raises:
            RecordError: the disk refuses.
        """
        trial.seconds += found.seconds or self._until_last_kept(trial)
        trial.top1, trial.images, trial.error = found.top1, found.images, found.error
        trial.state = "failed" if found.error else "done"
        self._keep()

    def spent(self) -> float:
        """Seconds of training so far, of all trials together."""
        running = sum(self._clock() - trial.started for trial in self._of("running"))
        return running + sum(trial.seconds for trial in self.trials)

    def results(self) -> list[Result]:
        """Of trials that are done, the most accurate first."""
        found = [
            Result(
                trial=trial.number,
                name=trial.network,
                lr=self.settings(trial).recipe.optimizer.lr,
                top1=trial.top1,
                images=trial.images,
                seconds=trial.seconds,
                folder=trial.folder,
            )
            for trial in self._of("done")
        ]
        return sorted(found, key=lambda one: (-one.top1, one.trial))

    def settings(self, trial: Trial) -> Settings:
        """Of a trial's run."""
        return self.plan.settings(trial.network, trial.factor)

    def count(self, state: State) -> int:
        """Trials that stand so."""
        return len(self._of(state))

    def _of(self, state: State) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == state]

    def _new(self, network: str, factor: float) -> Trial:
        trial = Trial(len(self.trials), network, factor, "running", self._clock())
        self.trials.append(trial)
        return trial

    def _chosen(self) -> tuple[str, float]:
        """By Optuna, of what the trials found that are done."""
        optuna = engine()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = {
            "network": optuna.distributions.CategoricalDistribution(list(self.plan.specs)),
            "factor": optuna.distributions.FloatDistribution(*LR, log=True),
        }
        sampler = optuna.samplers.TPESampler(
            seed=self.plan.seed + len(self.trials), n_startup_trials=len(self.plan.specs)
        )
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for trial in self._of("done"):
            params = {"network": trial.network, "factor": trial.factor}
            known = optuna.trial.create_trial(params=params, distributions=space, value=trial.top1)
            study.add_trial(known)
        params = study.ask(space).params
        return params["network"], params["factor"]

    def _until_last_kept(self, trial: Trial) -> float:
        """Seconds of a part that was killed, until it wrote to its folder for the last time."""
        kept = (self.folder / trial.folder).rglob("*")
        written = [path.stat().st_mtime for path in kept if path.is_file()]
        return max(0.0, max(written, default=0.0) - trial.started)

    def _keep(self) -> None:
        for file, content in (
            (self._file, msgspec.json.encode(self.trials)),
            (self.folder / "results.json", msgspec.json.encode(self.results())),
        ):
            try:
                write_atomic(file, msgspec.json.format(content, indent=2) + b"\n")
            except OSError as error:
                raise RecordError(f"{file} cannot be written: {error.strerror}") from error


def engine() -> Any:
    """Optuna.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingPackage("Optuna", "search", needed_for="searching networks") from error
    return optuna


def _read(file: Path) -> list[Trial]:
    if not file.is_file():
        return []
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Trial])
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(
            f"{file} cannot be read ({error}); restore it, or search in another folder"
        ) from error
