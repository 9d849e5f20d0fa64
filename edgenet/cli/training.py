"""How a training run looks on a terminal."""

from __future__ import annotations

from edgenet.cli.progress import StageProgress
from edgenet.host.callbacks import Observer


class Terminal(Observer):
    """A line for each thing worth knowing, above the moving line of ``StageProgress``."""

    def __init__(self, progress: StageProgress) -> None:
        self._progress = progress

    def stage(self, text: str) -> None:
        self._progress.say(text)

    def progress(self, what: str, done: int, total: int) -> None:
        self._progress(what, done, total)

    def epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        if "val_top1" in metrics or epoch == epochs:
            line = f"epoch {epoch}/{epochs}  loss {metrics['train_loss']:.3f}"
            if "val_top1" in metrics:
                line += f"  top-1 {metrics['val_top1']:.2%}"
            self._progress.say(line)
