"""The runner of every target whose models run in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edgenet.bundle import Bundle
from edgenet.environment import usable_cores
from edgenet.runner import Backend, Footprint, Frame, Prediction
from edgenet.spec import Variant
from edgenet.stream import parallel
from edgenet.stream.classify import Classifier


def share(streams: int) -> int:
    """Threads for each of so many streams, if together they may use every core of this process."""
    return max(1, usable_cores() // streams)


class InProcess:
    """One variant of a bundle on an engine of this process.

    Args:
        bundle: an opened bundle.
        variant: one that it holds.
        threads: that the engine may use for a frame.
        streams: frames at work at once, each on a copy of the model: more frames a second, of which
            each takes longer, for the memory of the copies.
        backend: the engine; the one for the variant's format by default.

    Attributes:
        busy_cores: how many the engine takes while it runs; the loop leaves them to it.
        notes: what a person should know of how the bundle runs, a sentence each; after ``prepare``.
    """

    def __init__(
        self,
        bundle: Bundle,
        variant: Variant,
        *,
        threads: int = 1,
        streams: int = 1,
        backend: Backend | None = None,
    ) -> None:
        self.bundle = bundle
        self.variant = variant
        self.threads = threads
        self.streams = streams
        self.busy_cores = threads * streams
        self.backend = backend
        self.notes: tuple[str, ...] = ()
        self._classifiers: tuple[Classifier, ...] = ()

    def prepare(self, workdir: Path) -> Footprint:
        """Load the model; nothing is built, so ``workdir`` stays empty.

        Raises:
            BundleError: the bundle does not hold the variant.
            EngineError: the engine cannot run the model.
            MissingPackage: the engine is not installed.
        """
        self._classifiers = tuple(
            Classifier.open(self.bundle, self.variant, threads=self.threads, backend=self.backend)
            for _ in range(self.streams)
        )
        return Footprint(flash=self.bundle.record(self.variant).size)

    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Classify frames as they come.

        Raises:
            RuntimeError: ``prepare`` was not called.
        """
        if not self._classifiers:
            raise RuntimeError("prepare() comes before run()")
        if self.streams > 1:
            yield from parallel.predictions(self._classifiers, frames)
        else:
            yield from map(self._classifiers[0], frames)

    def close(self) -> None:
        """Let go of the model."""
        self._classifiers = ()
