"""Random variation of a batch, on the device that trains and without waiting for it.

Every picture is varied differently.  Crop, flip and rotation are one affine resampling, so a
picture is interpolated once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from edgenet.host.recipe import Augment

# Luma of ITU-R BT.601, with which the field defines saturation
GREY = (0.299, 0.587, 0.114)
ERASED_AREA = (0.02, 0.25)


def vary(batch: Tensor, augment: Augment) -> Tensor:
    """Crops, mirrors, turns, recolours and erases.

    Args:
        batch: pictures (N, 3, H, W), 0..1.
        augment: what to do.

    Returns:
        Pictures of the same shape and range.
    """
    if augment.crop != "none" or augment.flip or augment.rotate:
        batch = _resample(batch, _affine(batch, augment), augment.crop)
    if augment.color:
        batch = _recolour(batch, augment.color)
    if augment.erase:
        batch = _erase(batch, augment.erase)
    return batch


def mix(batch: Tensor, targets: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
    """Mixes each picture with another, and their targets in the same proportion.

    Args:
        batch: pictures (N, 3, H, W).
        targets: shares of each class (N, classes), each row summing to 1.
        augment: how; at most one of mixup and cutmix is applied to one batch.
    """
    ways = [way for way in (_mixup, _cutmix) if getattr(augment, way.__name__[1:])]
    if not ways or torch.rand(()).item() >= augment.mix_share:
        return batch, targets
    way = ways[int(torch.randint(len(ways), ()).item())]
    alpha = getattr(augment, way.__name__[1:])
    concentration = torch.full((len(batch),), alpha, device=batch.device)
    share = torch.distributions.Beta(concentration, concentration, validate_args=False).sample()
    # a rotation of the batch, which is in random order already
    return way(batch, targets, share, batch.roll(1, 0), targets.roll(1, 0))


def _mixup(
    batch: Tensor, targets: Tensor, share: Tensor, others: Tensor, their_targets: Tensor
) -> tuple[Tensor, Tensor]:
    weight = share.view(-1, 1, 1, 1)
    return others.lerp(batch, weight), their_targets.lerp(targets, share.view(-1, 1))


def _cutmix(
    batch: Tensor, targets: Tensor, share: Tensor, others: Tensor, their_targets: Tensor
) -> tuple[Tensor, Tensor]:
    side = (1 - share).sqrt()
    inside = _boxes(batch, side, side)
    kept = 1 - inside.float().mean(dim=(1, 2, 3)).view(-1, 1)
    return torch.where(inside, others, batch), their_targets.lerp(targets, kept)


def _affine(batch: Tensor, augment: Augment) -> Tensor:
    """Matrices (N, 2, 3) from output to input coordinates, -1..1 across the picture."""
    count, device = len(batch), batch.device
    half_height, half_width = _box_size(count, augment, device)
    if augment.crop == "pad":
        height, width = batch.shape[2:]
        pad = int(augment.pad)
        shift = torch.randint(-pad, pad + 1, (2, count), device=device)
        dy, dx = shift[0] * (2 / height), shift[1] * (2 / width)
    else:
        dy = _uniform(count, -1, 1, device) * (1 - half_height)
        dx = _uniform(count, -1, 1, device) * (1 - half_width)
    angle = _uniform(count, -1, 1, device) * math.radians(augment.rotate)
    mirror = torch.ones(count, device=device)
    if augment.flip:
        mirror = torch.randint(0, 2, (count,), device=device) * 2.0 - 1
    cos, sin = angle.cos(), angle.sin()
    top = torch.stack((half_width * cos * mirror, -half_width * sin, dx), dim=1)
    bottom = torch.stack((half_height * sin * mirror, half_height * cos, dy), dim=1)
    return torch.stack((top, bottom), dim=1)


def _box_size(count: int, augment: Augment, device: torch.device) -> tuple[Tensor, Tensor]:
    """Height and width (N,) of the random boxes over the picture's, at most 1."""
    if augment.crop != "resized":
        return torch.ones(count, device=device), torch.ones(count, device=device)
    area = _uniform(count, *augment.scale, device)
    low, high = (math.log(bound) for bound in augment.ratio)
    ratio = _uniform(count, low, high, device).exp()
    return (area / ratio).sqrt().clamp(max=1), (area * ratio).sqrt().clamp(max=1)


def _resample(batch: Tensor, matrices: Tensor, crop: str) -> Tensor:
    # with zeros an enlarged box at the picture's edge would get a dark rim
    padding = "zeros" if crop == "pad" else "border"
    grid = functional.affine_grid(matrices, list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode=padding, align_corners=False)


def _recolour(batch: Tensor, strength: float) -> Tensor:
    """Scales brightness, then the distance to the mean grey, then the distance to grey."""
    count, device = len(batch), batch.device
    brightness, contrast, saturation = (
        _uniform(count, 1 - strength, 1 + strength, device).view(-1, 1, 1, 1) for _ in range(3)
    )
    batch = batch * brightness
    red, green, blue = torch.split(batch, 1, dim=1)
    grey = GREY[0] * red + GREY[1] * green + GREY[2] * blue
    mean = grey.mean(dim=(2, 3), keepdim=True)
    batch = mean + ((batch - grey) * saturation + (grey - mean)) * contrast
    return batch.clamp(0, 1)


def _erase(batch: Tensor, share: float) -> Tensor:
    count, device = len(batch), batch.device
    side = _uniform(count, *ERASED_AREA, device).sqrt()
    ratio = _uniform(count, math.log(0.5), math.log(2), device).exp().sqrt()
    chosen = (torch.rand(count, device=device) < share).view(-1, 1, 1, 1)
    return batch.masked_fill(_boxes(batch, side * ratio, side / ratio) & chosen, 0.5)


def _boxes(batch: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Masks (N, 1, H, W) of boxes around random points, cut at the picture's edge.

    Args:
        batch: gives H, W and the device.
        height: of each box over the picture's, (N,).
        width: of each box over the picture's, (N,).
    """
    count, device = len(batch), batch.device
    rows, columns = ((torch.arange(n, device=device) + 0.5) / n for n in batch.shape[2:])
    y, x = torch.rand(2, count, 1, device=device)
    in_rows = (rows - y).abs() < height.view(-1, 1) / 2
    in_columns = (columns - x).abs() < width.view(-1, 1) / 2
    inside: Tensor = in_rows.unsqueeze(2) & in_columns.unsqueeze(1)
    return inside.unsqueeze(1)


def _uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    return torch.rand(count, device=device) * (high - low) + low
