"""Robustness: two sets of calibration pictures with none in common, and the int8 of each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from edgenet import target as targets
from edgenet.cli.main import main
from edgenet.dataset import Dataset
from edgenet.dataset.split import ArraySplit
from edgenet.drift.answers import Answers
from edgenet.errors import DataError
from edgenet.host import calibration
from edgenet.host import checkpoint as checkpoints
from edgenet.host.calibration import Choice, choose
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.host.robustness import VARIANT, compared, robustness, text
from edgenet.spec import ModelSpec, Preprocess

pytestmark = pytest.mark.torch

PC = targets.load("pc")
SPEC = ModelSpec("mobilenet_v1", 0.25, ("a", "b"), Preprocess(32, 32))


def pairs(train: np.ndarray, val: np.ndarray) -> Dataset:
    def split(name: str, pixels: np.ndarray) -> ArraySplit:
        return ArraySplit(name, lambda: (pixels, np.arange(len(pixels)) % 2))

    return Dataset("pairs", ("a", "b"), {"train": split("train", train), "val": split("val", val)})


@pytest.fixture(scope="module")
def data() -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    return pairs(pixels[:24], pixels[24:])


def answers(right: list[bool]) -> Answers:
    """Of a model of two classes that is right where it says so; every picture is of class a."""
    logits = np.array([[1.0, 0.0] if one else [0.0, 1.0] for one in right], np.float32)
    return Answers(np.arange(len(right)), np.zeros(len(right), np.int64), {VARIANT: logits}, 0)


def test_what_a_draw_leaves_out_is_in_none_of_its_pictures_nor_is_a_copy_of_it() -> None:
    own = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    dataset = pairs(np.concatenate([own, own]), own[:1])
    first = choose(dataset, 3, seed=0)
    second = choose(dataset, 12, seed=0, skip=3)
    assert len(first) == 3
    assert second
    assert not set(first.values()) & set(second.values())


def test_too_few_pictures_for_two_sets_are_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"need 26, pairs has 24 .* --calib-samples 12 or fewer"):
        robustness(tmp_path, Choice(data, samples=13), lambda choice, folder: None, PC)


@pytest.mark.parametrize(("lost", "same"), [(0, True), (3, True), (20, False)])
def test_two_sets_are_the_same_while_the_interval_of_the_change_holds_zero(
    data: Dataset, lost: int, same: bool
) -> None:
    one, two = answers([True] * 200), answers([False] * lost + [True] * (200 - lost))
    found = compared(Choice(data, samples=12), one, two)
    assert found.same is same
    assert [share.count for share in found.top1] == [200, 200 - lost]
    assert found.agreement.count == 200 - lost
    assert found.change.worse == lost


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that is not calibrated."""
    folder = tmp_path_factory.mktemp("plain")
    torch.manual_seed(0)
    network = build(SPEC)
    network.classifier.weight.data.normal_(0, 0.1)
    checkpoints.save(folder, Checkpoint(spec=SPEC), network.state_dict())
    return folder


def test_the_second_set_quantizes_the_network_again_with_other_pictures(
    data: Dataset, plain: Path, tmp_path: Path
) -> None:
    choice = Choice(data, samples=12)
    calibration.record(plain, tmp_path, choice)
    seen: list[str] = []

    def again(other: Choice, folder: Path) -> None:
        seen.extend(calibration.record(plain, folder, other).calibration.sha256)
        record = checkpoints.read_record(folder)
        kept = record.calibration
        assert kept is not None
        # an eighth of each range: too little for any network
        ranges = {name: (low / 8, high / 8) for name, (low, high) in kept.ranges.items()}
        crushed = msgspec.structs.replace(kept, ranges=ranges)
        checkpoints.amend(folder, folder, msgspec.structs.replace(record, calibration=crushed))

    found = robustness(tmp_path, choice, again, PC)
    first = checkpoints.read_record(tmp_path).calibration
    assert first is not None
    assert len(set(seen)) == len(set(first.record.sha256)) == 12
    assert not set(seen) & set(first.record.sha256)
    assert found.top1[0].of == found.top1[1].of == 16
    assert found.snr_db is not None
    assert found.snr_db < 20


@pytest.mark.slow
def test_the_same_ranges_give_the_same_logits(data: Dataset, plain: Path, tmp_path: Path) -> None:
    choice = Choice(data, samples=12)
    calibration.record(plain, tmp_path / "first", choice)
    found = robustness(
        tmp_path / "first",
        choice,
        lambda _, folder: shutil.copytree(tmp_path / "first", folder),
        PC,
    )
    assert found.snr_db is None
    assert found.change.value == 0
    assert found.same


@pytest.mark.parametrize(
    ("lost", "said"), [(3, "chance would not explain"), (20, "--calib-samples")]
)
def test_people_are_told_whether_the_pictures_matter(data: Dataset, lost: int, said: str) -> None:
    one, two = answers([True] * 200), answers([False] * lost + [True] * (200 - lost))
    found = text(compared(Choice(data, samples=12), one, two))
    assert found.startswith("calibrated with 12 other pictures, int8 has top-1 ")
    assert "instead of 100.00% on the 200 pictures of pairs val" in found
    assert f"{-lost / 2:+.2f} points (" in found
    assert said in found


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    spec = ModelSpec("mobilenet_v1", 0.25, tuple("0123456789"), Preprocess(32, 32))
    torch.manual_seed(0)
    checkpoints.save(tmp_path / "digits", Checkpoint(spec=spec), build(spec).state_dict())
    return tmp_path / "digits"


def quantize(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["quantize", *map(str, words)])


def test_two_sets_that_are_too_large_are_refused_before_anything_is_written(digits: Path) -> None:
    result = quantize(digits, "--data", "digits", "--robustness", "--calib-samples", "1000")
    assert result.exit_code == 1
    assert "without a common one need 2000, digits has " in result.stderr
    assert checkpoints.read_record(digits).calibration is None


@pytest.mark.slow
def test_quantize_tells_people_and_programs_the_same(digits: Path) -> None:
    words = (digits, "--data", "digits", "--robustness", "--calib-samples", "12")
    said = quantize(*words, "--json").stdout
    # the converter prints, too: to descriptor 1, which edgenet diverts and CliRunner does not use
    found = json.loads(said[said.index("{") :])
    top1 = found["robustness"]["top1"]
    assert found["calibration"]["images"] == found["robustness"]["calibrated"] == 12
    assert f"{top1[1]['count'] / top1[1]['of']:.2%} instead of " in quantize(*words).stdout
