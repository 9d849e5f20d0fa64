"""What happens between epochs: telling, keeping what a resumed run needs, keeping the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from edgenet.host.learner import Learner

RESUMABLE = 50


class Observer:
    """Is told how training goes; this one says nothing."""

    def stage(self, text: str) -> None:
        """Something noteworthy, in one sentence."""

    def progress(self, what: str, done: int, total: int) -> None:
        """How far the present work is."""

    def epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """An epoch is over; ``metrics`` has ``val_top1`` only if it was measured in this epoch."""


# Lightning calls a Checkpoint after all other hooks of an epoch, so these see its metrics
class Telling(Checkpoint):
    """Passes on to an observer what Lightning knows."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        steps = int(trainer.num_training_batches)
        done = trainer.current_epoch * steps + batch_idx + 1
        self.observer.progress("training", done, (trainer.max_epochs or 1) * steps)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if epoch % module.recipe.validate_every:
            metrics = {k: v for k, v in metrics.items() if not k.startswith("val_")}
        self.observer.epoch(epoch, epochs, metrics)


class Resumable(Checkpoint):
    """Keeps Lightning's state in one file, replaced whole, some fifty times in a run.

    The file is a pickle, as Lightning has it.  It stays in the run's folder, is read with
    ``weights_only``, and goes when the run is done.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        every = -(-(trainer.max_epochs or 1) // RESUMABLE)
        if (trainer.current_epoch + 1) % every == 0:
            partial = self.path.with_suffix(".partial")
            trainer.save_checkpoint(partial)
            if trainer.is_global_zero:
                partial.replace(self.path)
            trainer.strategy.barrier()


class Best(Checkpoint):
    """Keeps the weights of the validation that went best."""

    def __init__(self) -> None:
        self.top1 = -1.0
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        top1 = float(trainer.callback_metrics["val_top1"])
        if top1 > self.top1:
            self.top1 = top1
            self.weights = weights(cast(Learner, module))

    def state_dict(self) -> dict[str, Any]:
        return {"top1": self.top1, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.top1, self.weights = state_dict["top1"], state_dict["weights"]


def weights(learner: Learner) -> dict[str, Tensor]:
    """A copy, on the CPU, of the weights to keep."""
    kept = learner.learned.state_dict()
    counts = learner.model.state_dict()
    return {
        name: (tensor if tensor.is_floating_point() else counts[name]).detach().cpu().clone()
        for name, tensor in kept.items()
    }
