"""The observer that torchao lacks."""

from __future__ import annotations

import torch
from torch import Tensor

from edgenet.host.quiet import quiet_exporters

with quiet_exporters():
    from torchao.quantization.pt2e import HistogramObserver

SHARE = 0.9999


class PercentileObserver(HistogramObserver):  # type: ignore[misc]
    """A range that leaves out at most 0.01 % of the values at each end."""

    def _non_linear_param_search(self) -> tuple[Tensor, Tensor]:
        share = self.histogram.double().cumsum(0) / self.histogram.double().sum()
        first = int((share <= 1 - SHARE).sum())
        last = int((share < SHARE).sum())
        width = (self.max_val - self.min_val) / self.bins
        # the very ends are as they were seen, to the last bit
        low = self.min_val + first * width if first else self.min_val
        high = self.min_val + (last + 1) * width if last + 1 < self.bins else self.max_val
        return low, torch.maximum(high, low)
