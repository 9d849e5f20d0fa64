"""AdaRound: each weight is rounded up or down, whichever serves its layer's output best.

Nagel et al. 2020, arXiv 2004.10568: section 3.3 with its equations 21 to 25. The nearest code is
best for a weight alone, not for a sum of many. Layers are rounded in order, each on what the
quantized layers before it give, towards what the float layer gives.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgenet.host.remedy.bias import correct
from edgenet.host.remedy.candidate import Candidate, Material
from edgenet.host.remedy.simulate import Step, activated, scales, walk

# of the paper: the rectified sigmoid, and how the regularizer is weighed and sharpened
STRETCH_LOW, STRETCH_HIGH = -0.1, 1.1
WEIGHT = 0.01
BETA_FIRST, BETA_LAST = 20.0, 2.0
WARM = 0.2
RATE = 1e-2
# positions of the output that a layer is fitted to, and those of one step
POSITIONS, STEP = 8192, 256
REPORTED = 25


def rounding(candidate: Candidate, material: Material) -> Candidate:
    """Weights on codes that were chosen for each layer's output."""
    changed = replace(candidate, network=deepcopy(candidate.network))
    total = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in changed.network.modules())
    generator = torch.Generator().manual_seed(material.seed)
    moved = weights = 0
    for done, step in enumerate(walk(changed, material.batches)):
        tell = partial(_tell, material, done, total)
        tell(0)
        if step.stays_float:
            continue
        moved += settle(step, material.iterations, generator, tell)
        weights += step.weights.weight.numel()
        if "bias" in candidate.applied:
            correct(step)  # the correction was for other codes
    _tell(material, total, total, 0)
    return changed.with_remedy("rounding", f"{moved / weights:.1%} of the codes are others")


def _tell(material: Material, layer: int, layers: int, iteration: int) -> None:
    steps = material.iterations
    if iteration % REPORTED == 0:
        material.progress("rounding weights", layer * steps + iteration, layers * steps)


def settle(
    step: Step, iterations: int, generator: torch.Generator, tell: Callable[[int], None]
) -> int:
    """Rounds one layer's weights in place; gives how many are not on the nearest code."""
    inputs, meant = sampled(step, generator)
    step_size = scales(step.weights)
    codes = step.weights.weight.detach() / step_size
    floor, nearest = codes.floor(), codes.round()
    # what sets its channel's scale stays, so that the scale does
    fixed = codes.abs() > 127 - 0.5
    share = (codes - floor).clamp(1e-3, 1 - 1e-3)
    inner = (share - STRETCH_LOW) / (STRETCH_HIGH - STRETCH_LOW)
    learned = inner.logit().requires_grad_(True)
    optimizer = torch.optim.Adam([learned], lr=RATE)
    bias = step.weights.bias
    assert bias is not None
    for number in range(iterations):
        tell(number)
        rows = torch.randint(len(meant), (STEP,), generator=generator)
        up = rectified(learned)
        weight = torch.where(fixed, nearest, floor + up).clamp(-127, 127) * step_size
        given = activated(step.module, product(inputs[rows], weight) + bias.detach())
        loss = (given - meant[rows]).square().sum(1).mean()
        if number >= WARM * iterations:
            loss = loss + WEIGHT * undecided(up, _beta(number / iterations))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        up = (rectified(learned) >= 0.5).to(floor.dtype)
        chosen = torch.where(fixed, nearest, floor + up).clamp(-127, 127)
        keep = step.weights.weight.detach()
        # the largest weight itself stays too, and with it the scale, to the last bit
        largest = fixed & (keep.abs() >= 127 * step_size * (1 - 1e-6))
        step.weights.weight.data = torch.where(largest, keep, chosen * step_size)
    return int((chosen != nearest).sum())


def rectified(learned: Tensor) -> Tensor:
    """The rectified sigmoid h, 0 to 1 (equation 23)."""
    return (learned.sigmoid() * (STRETCH_HIGH - STRETCH_LOW) + STRETCH_LOW).clamp(0, 1)


def undecided(up: Tensor, beta: float) -> Tensor:
    """How far the weights are from up or down, in all (equation 24)."""
    return (1 - (2 * up - 1).abs().pow(beta)).sum()


def _beta(share: float) -> float:
    """From soft to sharp by a cosine, after the warm start."""
    through = (share - WARM) / (1 - WARM)
    return BETA_LAST + 0.5 * (BETA_FIRST - BETA_LAST) * float(
        1 + torch.cos(torch.tensor(torch.pi * through))
    )


def product(inputs: Tensor, weight: Tensor) -> Tensor:
    """Sums of sampled positions: (P, C, K) with weights (C, 1, ..) or (P, K) with (O, ...)."""
    if inputs.ndim == 3:
        return torch.einsum("pck,ck->pc", inputs, weight.flatten(1))
    return inputs @ weight.flatten(1).T


def sampled(step: Step, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions of the layer's output: what its weights are multiplied by, and what is meant.

    Returns:
        (P, K), or (P, C, K) of a depthwise layer; and (P, O), after the activation.
    """
    pictures = sum(len(batch) for batch in step.fed)
    each = max(1, POSITIONS // pictures)
    inputs, meant = [], []
    for fed, given in zip(step.fed, step.meant, strict=True):
        columns = _columns(step, fed)
        targets = activated(step.module, given).reshape(*given.shape[:2], -1)
        place = torch.randint(targets.shape[2], (len(fed), each), generator=generator)
        index = place[:, None].expand(-1, columns.shape[1], -1)
        inputs.append(columns.gather(2, index).transpose(1, 2).flatten(0, 1))
        index = place[:, None].expand(-1, targets.shape[1], -1)
        meant.append(targets.gather(2, index).transpose(1, 2).flatten(0, 1))
    rows = torch.cat(inputs)
    weights = step.weights
    if isinstance(weights, nn.Conv2d) and weights.groups > 1:
        rows = rows.reshape(len(rows), weights.groups, -1)
        rows = rows.repeat_interleave(weights.out_channels // weights.groups, 1)
    return rows, torch.cat(meant)


def _columns(step: Step, fed: Tensor) -> Tensor:
    """(N, K, positions): what each output position is computed from."""
    if isinstance(step.weights, nn.Linear):
        return fed.flatten(1)[:, :, None]
    found: list[Tensor] = []
    handle = step.weights.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    with torch.no_grad():
        step.module(fed)  # pads as the layer does
    handle.remove()
    conv = step.weights
    assert isinstance(conv.padding, tuple)
    return functional.unfold(found[0], conv.kernel_size, padding=conv.padding, stride=conv.stride)
