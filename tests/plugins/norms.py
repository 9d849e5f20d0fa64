"""Batch norms that do something, as those of a trained network do and those of a new one do not."""

from __future__ import annotations

from torch import nn


def scatter(network: nn.Module, *, centred: bool = False) -> None:
    """Draw what batch norms hold from torch's generator.

    Args:
        network: changed in place.
        centred: leave running means at 0 and weights at 1.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            if not centred:
                module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if not centred:
                module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
