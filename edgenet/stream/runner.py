"""The runner of every target whose models run in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edgenet.bundle import Bundle
from edgenet.runner import Backend, Footprint, Frame, Prediction
from edgenet.spec import Variant
from edgenet.stream.classify import Classifier


class InProcess:
    """One variant of a bundle on an engine of this process.

    Args:
        bundle: an opened bundle.
        variant: one that it holds.
        threads: that the engine may use.
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
        backend: Backend | None = None,
    ) -> None:
        self.bundle = bundle
        self.variant = variant
        self.threads = self.busy_cores = threads
        self.backend = backend
        self.notes: tuple[str, ...] = ()
        self._classifier: Classifier | None = None

    def prepare(self, workdir: Path) -> Footprint:
        """Load the model; nothing is built, so ``workdir`` stays empty.

        Raises:
            BundleError: the bundle does not hold the variant.
            EngineError: the engine cannot run the model.
            MissingPackage: the engine is not installed.
        """
        self._classifier = Classifier.open(
            self.bundle, self.variant, threads=self.threads, backend=self.backend
        )
        return Footprint(flash=self.bundle.record(self.variant).size)

    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Classify frames as they come.

        Raises:
            RuntimeError: ``prepare`` was not called.
        """
        if self._classifier is None:
            raise RuntimeError("prepare() comes before run()")
        yield from map(self._classifier, frames)

    def close(self) -> None:
        """Let go of the model."""
        self._classifier = None
