from __future__ import annotations

import numpy as np
import pytest

from edgenet import image
from edgenet.dataset import open_dataset
from edgenet.dataset.split import ArraySplit
from edgenet.errors import DataError
from edgenet.host import data
from edgenet.host.data import Batches, Pictures
from edgenet.spec import Preprocess

torch = pytest.importorskip("torch", reason="torch is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.fixture
def split():
    """Thirty pictures of 20x24."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 24, 3), dtype=np.uint8)
    return ArraySplit("x", lambda: (pixels, np.arange(30) % 3))


def pictures(count):
    """Pictures whose every byte is their number."""
    numbers = torch.arange(count)
    return Pictures(numbers.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 2, 3), numbers)


def drawn(batches):
    return [labels.tolist() for _, labels in batches]


# prepared pictures


@pytest.mark.parametrize("resize", ["stretch", "center-crop", "letterbox"])
def test_prepared_pixels_are_what_every_stage_sees(split, resize, tmp_path):
    preprocess = Preprocess(8, 10, resize=resize)
    for cache in (None, tmp_path):
        prepared = data.prepare(split, preprocess, cache=cache)
        assert prepared.targets.tolist() == split.targets.tolist()
        for index, example in enumerate(split):
            fitted = image.fit(example.rgb, preprocess)
            assert np.array_equal(prepared.pixels[index].numpy(), fitted)


def test_a_cache_is_found_again_and_not_made_again(split, tmp_path, monkeypatch):
    first = data.prepare(split, Preprocess(8, 8), cache=tmp_path)
    monkeypatch.setattr(image, "fit", None)
    again = data.prepare(split, Preprocess(8, 8), cache=tmp_path)
    assert torch.equal(first.pixels, again.pixels)


def test_other_pictures_or_another_size_make_another_cache(split, tmp_path):
    for preprocess in (Preprocess(8, 8), Preprocess(8, 8, "letterbox"), Preprocess(8, 9)):
        data.prepare(split, preprocess, cache=tmp_path)
    changed = ArraySplit("x", lambda: (split.pixels + 1, split.targets))
    prepared = data.prepare(changed, Preprocess(8, 8), cache=tmp_path)
    assert np.array_equal(prepared.pixels[0].numpy(), image.fit(changed.rgb(0), Preprocess(8, 8)))
    assert len(list(tmp_path.iterdir())) == 4


def test_progress_reaches_the_end(split):
    told = []
    data.prepare(split, Preprocess(8, 8), progress=lambda *what: told.append(what), name="reading")
    assert told[-1] == ("reading", 30, 30)


def test_all_damaged_pictures_are_reported_at_once(tmp_path):
    for label in "ab":
        (tmp_path / "train" / label).mkdir(parents=True)
        (tmp_path / "val" / label).mkdir(parents=True)
        for number in range(4):
            file = tmp_path / "train" / label / f"{number}.png"
            good = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
            file.write_bytes(b"damaged" if label == "b" else good)
            (tmp_path / "val" / label / f"{number}.png").write_bytes(good)
    split = open_dataset(str(tmp_path)).splits["train"]
    with pytest.raises(DataError, match=r"^4 of 8 pictures cannot be used: .*b/0\.png.*and 1 more"):
        data.prepare(split, Preprocess(8, 8), cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_named(split, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot keep decoded pictures in .*/file/cache"):
        data.prepare(split, Preprocess(8, 8), cache=tmp_path / "file" / "cache")


# batches


def test_an_epoch_draws_every_picture_once_and_drops_the_rest():
    batches = Batches(pictures(22), 5, seed=0)
    found = drawn(batches)
    assert len(found) == len(batches) == 4
    assert len({label for batch in found for label in batch}) == 20


def test_pixels_come_with_their_labels():
    for pixels, labels in Batches(pictures(22), 5, seed=0):
        assert pixels.shape == (5, 2, 2, 3)
        assert pixels.dtype == torch.uint8
        assert pixels[:, 0, 0, 0].tolist() == labels.tolist()


def test_the_order_follows_the_seed_and_the_epoch():
    now = 0
    batches = Batches(pictures(20), 5, seed=3, epoch=lambda: now)
    first, again = drawn(batches), drawn(batches)
    now = 1
    second = drawn(batches)
    assert first == again != second
    assert drawn(Batches(pictures(20), 5, seed=3, epoch=lambda: 1)) == second
    assert drawn(Batches(pictures(20), 5, seed=4)) != first


def test_without_a_seed_all_pictures_come_in_order():
    batches = Batches(pictures(22), 5)
    assert [label for batch in drawn(batches) for label in batch] == list(range(22))
    assert len(batches) == 5


def test_few_pictures_make_one_smaller_batch():
    assert [len(batch) for batch in drawn(Batches(pictures(3), 64, seed=0))] == [3]


@pytest.mark.parametrize("seed", [None, 0])
def test_ranks_share_an_epoch_without_overlap(seed):
    ranks = [drawn(Batches(pictures(23), 4, seed=seed, rank=r, world=2)) for r in range(2)]
    seen = [label for rank in ranks for batch in rank for label in batch]
    assert len(seen) == len(set(seen)) == (23 if seed is None else 16)
    if seed is not None:
        assert len(ranks[0]) == len(ranks[1])


def test_a_pass_that_is_left_early_can_be_begun_again():
    batches = Batches(pictures(20), 5, seed=0)
    first = next(iter(batches))[1].tolist()
    assert drawn(batches)[0] == first
