"""Optimizer and learning rate schedule of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer

from edgenet.host import recipe


def make(model: nn.Module, settings: recipe.Optimizer) -> Optimizer:
    """The optimizer, with weight decay where the recipe wants it and frozen weights left out."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for parameter in model.parameters():
        # by their shape, since a traced network has no modules that say what its weights are
        depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
        decays = parameter.ndim > 1 and (settings.decay_depthwise or not depthwise)
        if parameter.requires_grad:
            (decayed if decays else spared).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups, settings.lr, momentum=settings.momentum, nesterov=settings.nesterov
        )
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, settings.lr, eps=settings.eps)
    return torch.optim.RMSprop(
        groups,
        settings.lr,
        alpha=settings.smoothing,
        eps=settings.eps,
        momentum=settings.momentum,
    )


def factor(schedule: recipe.Schedule, *, epochs: int, steps: int) -> Callable[[int], float]:
    """What the learning rate is multiplied by at each step.

    Args:
        schedule: the shape of the curve.
        epochs: of the whole run.
        steps: in an epoch.
    """
    warmup = schedule.warmup_epochs * steps
    total = epochs * steps

    def at(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if schedule.name == "exponential":
            return schedule.rate ** (step // steps)
        if schedule.name == "constant":
            return 1.0
        done = min(1.0, (step - warmup) / max(1.0, total - warmup))
        return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * done)) / 2

    return at
