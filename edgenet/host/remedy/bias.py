"""Empirical bias correction: what rounding shifts a channel's mean by is taken off its bias.

Nagel et al. 2019, arXiv 1906.04721, section 4.2, appendix D, on calibration pictures.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch

from edgenet.host.remedy.candidate import Candidate, Material
from edgenet.host.remedy.simulate import Step, walk


def bias(candidate: Candidate, material: Material) -> Candidate:
    """Biases for which each channel's mean is the float network's, layer after layer."""
    changed = replace(candidate, network=deepcopy(candidate.network))
    layers, largest = 0, 0.0
    for step in walk(changed, material.batches):
        layers += 1
        material.progress("correcting biases", layers, layers + 1)
        largest = max(largest, correct(step))
    material.progress("correcting biases", layers, layers)
    return changed.with_remedy("bias", f"biases move by up to {largest:.2g}")


def correct(step: Step) -> float:
    """Takes a layer's mean error off its bias; gives the largest change."""
    dims = [0, 2, 3] if step.meant[0].ndim == 4 else [0]
    total: torch.Tensor | int = 0
    count = 0
    for meant, given in zip(step.meant, step.given(), strict=True):
        total = total + (meant - given).double().sum(dims)
        count += meant.numel() // meant.shape[1]
    assert isinstance(total, torch.Tensor)
    assert step.weights.bias is not None
    shift = (total / count).float()
    step.weights.bias.data += shift
    return float(shift.abs().max())
