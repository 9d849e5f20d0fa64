"""One step of training and one of validation, as Lightning's loop wants them."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edgenet.drift.compare import TOP_5
from edgenet.errors import TrainingError
from edgenet.host import augment, optimizer
from edgenet.host.data import Batches, Pictures
from edgenet.host.fakequant import FakeQuantized
from edgenet.host.models import Network
from edgenet.host.recipe import Recipe
from edgenet.spec import Preprocess

VALIDATION_BATCH = 500


def normalize(pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """uint8 pictures (N, H, W, 3) as the model's input (N, 3, H, W), as ``edgenet.image`` does."""
    return standardize(scale(pixels), preprocess)


def scale(pixels: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) as float32 (N, 3, H, W), 0..1, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float() / 255


def standardize(batch: Tensor, preprocess: Preprocess) -> Tensor:
    """Subtracts the mean and divides by the std of each channel of (N, 3, H, W)."""
    if any(preprocess.mean):
        batch = batch - batch.new_tensor(preprocess.mean).view(1, 3, 1, 1)
    if preprocess.std != (1.0, 1.0, 1.0):
        batch = batch / batch.new_tensor(preprocess.std).view(1, 3, 1, 1)
    return batch


@dataclass(frozen=True)
class Score:
    """What was measured on labelled pictures; shares 0..1, top5 None for five classes or fewer."""

    top1: float
    top5: float | None
    loss: float
    images: int

    def metrics(self, name: str) -> dict[str, float]:
        """Each figure by its name after ``name``, as a checkpoint keeps them."""
        found = {"top1": self.top1, "top5": self.top5, "loss": self.loss}
        return {f"{name}_{key}": value for key, value in found.items() if value is not None}


def tally(logits: Tensor, targets: Tensor) -> Tensor:
    """Sums over a batch, float64 (4,): right, right among the first five, loss, pictures."""
    logits = logits.float()
    best = logits.topk(min(TOP_5, logits.shape[1]), dim=1).indices
    right = best == targets.view(-1, 1)
    loss = functional.cross_entropy(logits, targets, reduction="sum")
    count = torch.tensor(len(targets), device=logits.device)
    return torch.stack([right[:, 0].sum(), right.sum(), loss, count]).double()


def score(tallied: Tensor, classes: int) -> Score:
    """The means of summed tallies of logits (N, ``classes``)."""
    top1, top5, loss, count = tallied.tolist()
    return Score(top1 / count, top5 / count if classes > TOP_5 else None, loss / count, int(count))


@torch.inference_mode()
def measure(
    model: nn.Module, pictures: Pictures, preprocess: Preprocess, device: torch.device
) -> Score:
    """Measures a model in float32, on its device, with the preprocessing of the bundle."""
    model.eval()
    total = torch.zeros(4, dtype=torch.float64, device=device)
    classes = 0
    for pixels, targets in Batches(pictures, VALIDATION_BATCH):
        logits = model(normalize(pixels.to(device), preprocess))
        classes = logits.shape[1]
        total += tally(logits, targets.to(device))
    return score(total, classes)


class Learner(lightning.LightningModule):
    """A network, the moving average of its weights, and how both change.

    Args:
        model: the network; frozen parts have ``requires_grad`` off.
        recipe: how it learns.
        preprocess: how pictures become its input.
        train: what it learns from.
        val: what it is looked at on, every ``recipe.validate_every`` epochs.
        seed: of the order of the pictures and of their variation.
    """

    def __init__(
        self,
        model: Network | FakeQuantized,
        recipe: Recipe,
        preprocess: Preprocess,
        *,
        train: Pictures,
        val: Pictures,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = deepcopy(model).requires_grad_(False) if recipe.ema else None
        self.recipe = recipe
        self.preprocess = preprocess
        self.pictures = (train, val)
        self.seed = seed
        self.classes = model.classes
        self.losses: list[Tensor] = []
        self.tallied: list[Tensor] = []
        self.history: list[dict[str, float]] = []
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = recipe.norm_momentum

    @property
    def learned(self) -> nn.Module:
        """The network to evaluate and keep."""
        return self.model if self.average is None else self.average

    def train(self, mode: bool = True) -> Learner:
        """Switches to training, but for the average and for frozen batch norms."""
        super().train(mode)
        if self.average is not None:
            self.average.eval()
        for module in self.model.modules():
            frozen = [not p.requires_grad for p in module.parameters(recurse=False)]
            if isinstance(module, nn.BatchNorm2d) and all(frozen):
                module.eval()
        return self

    def configure_optimizers(self) -> Any:
        made = optimizer.make(self.model, self.recipe.optimizer)
        factor = optimizer.factor(
            self.recipe.schedule, epochs=self.recipe.epochs, steps=len(self.train_dataloader())
        )
        return {
            "optimizer": made,
            "lr_scheduler": {"scheduler": LambdaLR(made, factor), "interval": "step"},
        }

    def train_dataloader(self) -> Batches:
        world = self.trainer.world_size
        return Batches(
            self.pictures[0],
            max(1, self.recipe.batch_size // world),
            seed=self.seed,
            epoch=lambda: self.trainer.current_epoch,
            rank=self.trainer.global_rank,
            world=world,
        )

    def val_dataloader(self) -> Batches:
        return Batches(
            self.pictures[1],
            VALIDATION_BATCH,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
        )

    def on_fit_start(self) -> None:
        for pictures in self.pictures:
            pictures.move(self.device)

    def on_train_start(self) -> None:
        if self.average is None:
            return
        # lists made once: at small batches, walking the modules costs as much as the average itself
        pairs = [
            (kept, new)
            for kept, new in zip(_tensors(self.average), _tensors(self.model), strict=True)
            if kept.is_floating_point()
        ]
        self.pairs: tuple[list[Tensor], list[Tensor]] = (
            [a for a, _ in pairs],
            [b for _, b in pairs],
        )

    def on_train_epoch_start(self) -> None:
        self.train()  # Lightning restores each module's own mode, which forgets what is frozen
        # a run that goes on after a kill draws what it would have drawn
        seed = (self.seed * 1_000_003 + self.current_epoch) * 1_003 + self.global_rank
        torch.manual_seed(seed % 2**63)
        self.losses.clear()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        pixels, labels = batch
        with torch.autocast(self.device.type, enabled=False):
            pictures = augment.vary(scale(pixels), self.recipe.augment)
            targets = functional.one_hot(labels, self.classes).float()
            pictures, targets = augment.mix(pictures, targets, self.recipe.augment)
            pictures = standardize(pictures, self.preprocess)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        loss = functional.cross_entropy(
            self.model(pictures).float(),
            self.aims(pictures, targets),
            label_smoothing=self.recipe.label_smoothing,
        )
        self.losses.append(loss.detach())
        return loss

    def aims(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """What the network is to answer: shares (N, classes), the labels' own here."""
        return targets

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.average is not None:
            step = self.global_step
            decay = min(self.recipe.ema, (1 + step) / (10 + step))
            get_ema_multi_avg_fn(decay)(*self.pairs, step)  # type: ignore[no-untyped-call]

    def on_train_epoch_end(self) -> None:
        loss = torch.stack(self.losses).mean().item()
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {self.current_epoch + 1}; lower the learning rate"
            )
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log_dict({"train_loss": loss, "lr": rate}, sync_dist=self.trainer.world_size > 1)

    def on_validation_epoch_start(self) -> None:
        self.tallied.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        pixels, labels = batch
        self.tallied.append(tally(self.learned(normalize(pixels, self.preprocess)), labels))

    def on_validation_epoch_end(self) -> None:
        total = torch.stack(self.tallied).sum(0)
        total = self.trainer.strategy.reduce(total, reduce_op="sum")
        found = score(total, self.classes)
        self.log_dict({"val_top1": found.top1, "val_loss": found.loss}, rank_zero_only=False)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
