"""Trains the front's networks on one's own data, as Optuna chooses them, under a budget.

Every network is trained once, the most promising first; trials beyond that choose network and
learning rate by what was found so far.  What was killed goes on with its own run, before all
others; what failed does not keep the others from their turn.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from edgenet.errors import EdgenetError, Interrupted, RecordError, TrainingError, UsageError
from edgenet.files import write_atomic
from edgenet.fit.trained import Result
from edgenet.host.settings import Settings
from edgenet.host.study import Found, Plan, Study, Trial, engine

_LOCK = "search.lock"

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
    """Train, or go on, or read what came of it; what a run breaks off at is the answer's error.

    Raises:
        Interrupted: by the user.
    """
    from edgenet.host import checkpoint
    from edgenet.host.machine import Machine
    from edgenet.host.run import Run
    from edgenet.host.train import train

    started, run = time.monotonic(), Run(folder)
    try:
        if not run.finished:
            train(settings, folder, machine=Machine(), resume=run.settings.is_file())
        record = checkpoint.read_record(folder)
    except Interrupted:
        raise
    except (EdgenetError, OSError, RuntimeError, MemoryError) as error:
        return Found(error=_sentence(error), seconds=time.monotonic() - started)
    evaluated = record.data["evaluated_on"]
    images = record.data["images"][evaluated]
    return Found(record.metrics[f"{evaluated}_top1"], images, time.monotonic() - started)


class Search:
    """A search's folder, which nothing is written to before it runs.

    Args:
        folder: where trials, runs and results lie; made where it is not there.
        plan: what decides the result.
        clock: seconds since 1970.

    Raises:
        MissingPackage: Optuna is not installed.
        UsageError: the folder holds a search of another plan, or something else.
        RecordError: what the folder holds is malformed.
    """

    def __init__(self, folder: Path, plan: Plan, *, clock: Callable[[], float] = time.time) -> None:
        engine()
        self.folder, self.plan, self._clock = folder, plan, clock
        self._check()

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
            trials: that are done, in all; one that fails takes a place until the next run.
            seconds: of training after which none starts any more, of all trials together; those
                that run then come to their end.
            workers: who trains; this process by default.
            job: what they do.
            tell: told of each trial that starts or ends, in a sentence.

        Raises:
            UsageError: another process trains in the folder, or it cannot be written to.
            TrainingError: trials failed, though all others had their turn.
            Interrupted: by the user.
            RecordError: the folder's files are malformed, or the disk refuses.
        """
        with _held(self.folder):
            self._claim()
            study = self._study()
            try:
                failed = self._train(study, _Budget(trials, seconds), workers or Here(), job, tell)
            except (Interrupted, KeyboardInterrupt):
                raise Interrupted("interrupted; the same command goes on") from None
        if failed:
            reasons = "; ".join(f"{trial.network}: {trial.error}" for trial in failed)
            raise TrainingError(f"{reasons}; the others are kept, the same command tries again")
        return study.results()

    def results(self) -> list[Result]:
        """Of trials that are done, the most accurate first."""
        return self._study().results()

    def _train(
        self,
        study: Study,
        budget: _Budget,
        workers: Workers,
        job: Job,
        tell: Callable[[str], None],
    ) -> list[Trial]:
        """Those that failed."""
        running: dict[object, Trial] = {}
        failed: list[Trial] = []
        while True:
            while len(running) < workers.count and budget.left(study, len(failed)):
                trial = study.next()
                settings = study.settings(trial)
                lr = settings.recipe.optimizer.lr
                tell(f"trial {trial.number}: {trial.network}, lr {lr:.3g}")
                running[workers.start(job, settings, self.folder / trial.folder)] = trial
            if not running:
                return failed
            ended, found = workers.first(list(running))
            trial = running.pop(ended)
            study.ended(trial, found)
            failed += [trial] if found.error else []
            tell(f"trial {trial.number}: {found.error or f'top-1 {found.top1:.2%}'}")

    def _study(self) -> Study:
        return Study(self.folder, self.plan, clock=self._clock)

    def _check(self) -> bool:
        """Whether the folder holds this search already."""
        file = self.folder / "search.json"
        try:
            if not file.is_file():
                kept = [] if not self.folder.exists() else list(self.folder.iterdir())
                # a kill may leave a draft behind, whose name begins with a dot
                if any(path.name != _LOCK and path.name[0] != "." for path in kept):
                    raise UsageError(f"{self.folder} is not empty; choose another folder")
                return False
            known = msgspec.json.decode(file.read_bytes(), type=Plan)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        except msgspec.DecodeError as error:
            raise RecordError(f"{file} is malformed ({error}); choose another folder") from error
        if known != self.plan:
            raise UsageError(
                f"{self.folder} holds a search of other networks, data or learning; repeat its"
                " options, or choose another folder"
            )
        self._study()
        return True

    def _claim(self) -> None:
        if self._check():
            return
        content = msgspec.json.format(msgspec.json.encode(self.plan), indent=2)
        try:
            write_atomic(self.folder / "search.json", content)
        except OSError as error:
            raise _unusable(self.folder, error) from error


class _Budget(NamedTuple):
    """Of a search, over all its runs."""

    trials: int
    seconds: float | None

    def left(self, study: Study, failed: int) -> bool:
        """Whether one more may start beside those that run, and those that failed in this run."""
        taken = study.count("done") + study.count("running") + failed
        return taken < self.trials and (self.seconds is None or study.spent() < self.seconds)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """For this process alone; the kernel lets go of it when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("a+")
    except OSError as error:
        raise _unusable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise UsageError(
                f"{folder} is being trained by another process ({lock.read().strip()}); wait for"
                " it, or choose another folder"
            ) from error
        except OSError as error:
            raise _unusable(folder, error) from error
        lock.truncate(0)
        lock.write(f"pid {os.getpid()} on {platform.node()}\n")
        lock.flush()
        yield


def _unusable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot use {folder}: {error.strerror}; choose another folder")


def _sentence(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
