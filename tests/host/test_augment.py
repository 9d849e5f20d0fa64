from __future__ import annotations

import pytest

from edgenet.host import augment
from edgenet.host.recipe import Augment

torch = pytest.importorskip("torch", reason="torch is not installed")

SIDE = 16


@pytest.fixture
def batch():
    """A gradient to the right in red, downwards in green, so that each pixel tells its place."""
    torch.manual_seed(0)
    ramp = (torch.arange(SIDE) + 0.5) / SIDE
    picture = torch.stack(
        (ramp.expand(SIDE, SIDE), ramp.view(-1, 1).expand(SIDE, SIDE), ramp * ramp.view(-1, 1))
    )
    return picture.repeat(64, 1, 1, 1)


def test_nothing_is_varied_unless_it_is_asked_for(batch):
    assert augment.vary(batch, Augment()) is batch


def test_half_of_the_pictures_are_mirrored(batch):
    varied = augment.vary(batch, Augment(flip=True))
    mirrored = [torch.allclose(p, batch[0].flip(-1), atol=1e-5) for p in varied]
    kept = [torch.allclose(p, batch[0], atol=1e-5) for p in varied]
    assert sum(mirrored) + sum(kept) == 64
    assert 16 < sum(mirrored) < 48


def test_a_padded_crop_shifts_by_whole_pixels_and_fills_with_black(batch):
    varied = augment.vary(batch, Augment(crop="pad", pad=3))
    padded = torch.nn.functional.pad(batch[0], (3, 3, 3, 3))
    shifts = set()
    for picture in varied:
        found = [
            (dy, dx)
            for dy in range(7)
            for dx in range(7)
            if torch.allclose(picture, padded[:, dy : dy + SIDE, dx : dx + SIDE], atol=1e-4)
        ]
        assert len(found) == 1
        shifts.update(found)
    assert {dy for dy, _ in shifts} == {dx for _, dx in shifts} == set(range(7))


def test_a_resized_crop_stays_inside_the_picture(batch):
    varied = augment.vary(batch + 0.5, Augment(crop="resized", scale=(0.3, 0.6)))
    assert varied.min() > 0.5  # black from outside would show
    # what is left of the gradient's range is the crop's share of the width and of the height
    width = (varied[:, 0].amax((1, 2)) - varied[:, 0].amin((1, 2))) * SIDE / (SIDE - 1)
    height = (varied[:, 1].amax((1, 2)) - varied[:, 1].amin((1, 2))) * SIDE / (SIDE - 1)
    area = width * height
    assert 0.25 < area.min() < 0.4 < area.max() < 0.65
    assert (width / height).max() > 1.2
    assert (width / height).min() < 0.8


def test_rotation_keeps_the_middle(batch):
    varied = augment.vary(batch, Augment(rotate=10))
    middle = varied[:, :, SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1]
    assert torch.allclose(middle.mean((2, 3))[:, :2], torch.full((64, 2), 0.5), atol=1e-3)
    corner = varied[:, 0, 0, SIDE // 2]
    assert corner.std() > 0.02


def test_rotation_turns_by_the_angle(monkeypatch):
    picture = torch.rand(1, 3, SIDE, SIDE)
    monkeypatch.setattr(
        augment, "_uniform", lambda count, low, high, device: torch.full((count,), high)
    )
    turned = augment.vary(picture, Augment(rotate=90))
    assert torch.allclose(turned, torch.rot90(picture, 1, (2, 3)), atol=1e-4) or torch.allclose(
        turned, torch.rot90(picture, -1, (2, 3)), atol=1e-4
    )


def test_colours_stay_in_range_and_grey_stays_grey():
    torch.manual_seed(1)
    grey = torch.rand(32, 1, 8, 8).expand(-1, 3, -1, -1)
    varied = augment.vary(grey, Augment(color=0.4))
    assert 0 <= varied.min() <= varied.max() <= 1
    assert torch.allclose(varied[:, 0], varied[:, 1], atol=1e-5)
    assert (varied - grey).abs().mean() > 0.05
    means = varied.mean((1, 2, 3)) / grey.mean((1, 2, 3))
    assert means.std() > 0.1


def test_a_share_of_the_pictures_loses_a_box(batch):
    varied = augment.vary(batch, Augment(erase=0.5))
    changed = (varied != batch).any(1)
    assert 16 < changed.any(-1).any(-1).sum() < 48
    assert set(varied.movedim(1, -1)[changed].unique().tolist()) == {0.5}
    assert changed.float().mean((1, 2)).max() < 0.3


def targets(count):
    return torch.eye(4)[torch.arange(count) % 4]


def test_mixup_mixes_pictures_and_targets_in_the_same_proportion():
    torch.manual_seed(0)
    labels = targets(8)
    batch = labels.view(8, 4, 1, 1)[:, :3].expand(8, 3, 5, 5)
    mixed, shares = augment.mix(batch, labels, Augment(mixup=1.0))
    assert torch.allclose(mixed.mean((2, 3)), shares[:, :3], atol=1e-6)
    assert torch.allclose(shares.sum(1), torch.ones(8))
    assert (shares.amax(1) < 0.999).any()


def test_cutmix_counts_the_pixels_it_pastes():
    torch.manual_seed(0)
    labels = targets(16)
    batch = labels.view(16, 4, 1, 1)[:, :3].expand(16, 3, 20, 20)
    mixed, shares = augment.mix(batch, labels, Augment(cutmix=1.0))
    assert set(mixed.unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(mixed.mean((2, 3)), shares[:, :3], atol=1e-6)
    assert len(shares.amax(1).unique()) > 8


def test_batches_are_mixed_as_often_as_the_recipe_says():
    torch.manual_seed(0)
    settings = Augment(mixup=0.5, cutmix=0.5, mix_share=0.25)
    labels, batch = targets(4), torch.zeros(4, 3, 4, 4)
    mixed = sum(augment.mix(batch, labels, settings)[1] is not labels for _ in range(200))
    assert 30 < mixed < 70
    assert augment.mix(batch, labels, Augment())[1] is labels


def test_the_seed_decides_the_variation(batch):
    settings = Augment(crop="resized", flip=True, rotate=5, color=0.3, erase=0.3)
    varied = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        varied.append(augment.vary(batch, settings))
    assert torch.equal(varied[0], varied[1])
    assert not torch.equal(varied[0], varied[2])
