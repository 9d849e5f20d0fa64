"""Calibration and the int8 graph: ranges in, ranges out, and nothing that the device pays for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from norms import scatter

from edgenet.bundle import Calibration
from edgenet.cli import quantize
from edgenet.dataset import Dataset, open_dataset
from edgenet.dataset.split import ArraySplit
from edgenet.errors import CheckpointError, DataError, ExportError, UsageError
from edgenet.host import calibration
from edgenet.host import checkpoint as checkpoints
from edgenet.host.calibration import Choice, choose, sparing
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import Network, build
from edgenet.host.quantize import Calibrator, example_input, input_quantization
from edgenet.spec import ModelSpec, Preprocess

LABELS = tuple("0123456789")
PAIRS = ModelSpec("mobilenet_v1", 0.25, ("a", "b"), Preprocess(32, 32))
SPEC = ModelSpec("mobilenet_v1", 0.25, LABELS, Preprocess(64, 64))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = build(SPEC)
    scatter(network, centred=True)
    return network.eval()


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.rand(8, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def targets(graph: torch.fx.GraphModule) -> list[str]:
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_the_input_of_the_default_preprocessing_is_the_pixel_minus_128() -> None:
    found = input_quantization(Preprocess(8, 8))
    assert (found.scale, found.zero_point) == (1 / 255, -128)


def test_the_input_of_a_centred_preprocessing_is_within_half_a_step_of_the_pixel() -> None:
    preprocess = Preprocess(8, 8, mean=(0.5,) * 3, std=(0.5,) * 3)
    found = input_quantization(preprocess)
    pixels = np.arange(256)
    meant = (pixels / 255 - 0.5) / 0.5
    held = found.scale * ((pixels - 128) - found.zero_point)
    assert np.abs(meant - held).max() <= found.scale / 2 + 1e-9


def test_a_mean_that_differs_between_channels_is_refused() -> None:
    with pytest.raises(ExportError, match=r"mean \(0\.4, 0\.5, 0\.6\).*one mean and one std"):
        input_quantization(Preprocess(8, 8, mean=(0.4, 0.5, 0.6)))


def test_the_graph_holds_no_relu6_and_requantizes_nothing(
    network: Network, noise: torch.Tensor
) -> None:
    calibrator = Calibrator(network, SPEC)
    calibrator.observe([noise])
    found = targets(calibrator.convert())
    assert not [name for name in found if "relu6" in name or "hardtanh" in name]
    assert found.count("aten.conv2d.default") == 27


def test_a_relu6_that_int8_does_not_clamp_by_itself_stays(
    network: Network, noise: torch.Tensor
) -> None:
    calibrator = Calibrator(network, SPEC)
    calibrator.observe([noise])
    ranges = calibrator.ranges() | {"stem": (0.0, 8.0)}
    calibrator.apply(ranges)
    assert sum("relu6" in name for name in targets(calibrator.convert())) == 1


def test_recorded_ranges_give_the_graph_that_pictures_gave(
    network: Network, noise: torch.Tensor
) -> None:
    seen = Calibrator(network, SPEC)
    seen.observe([noise])
    recorded = Calibrator(network, SPEC)
    recorded.apply(seen.ranges())
    picture = noise[:1]
    assert torch.equal(seen.convert()(picture), recorded.convert()(picture))


def test_every_layer_has_a_range_by_its_own_name(network: Network, noise: torch.Tensor) -> None:
    calibrator = Calibrator(network, SPEC)
    calibrator.observe([noise])
    names = list(calibrator.ranges())
    assert names[:3] == ["stem", "blocks.0.depthwise", "blocks.0.pointwise"]
    assert names[-2:] == ["pool", "classifier"]


def test_int8_logits_are_close_to_the_float_ones(network: Network, noise: torch.Tensor) -> None:
    calibrator = Calibrator(network, SPEC)
    calibrator.observe([noise])
    with torch.inference_mode():
        reference = network(noise.permute(0, 3, 1, 2))
        candidate = calibrator.convert()(noise)
    error = (reference - candidate).square().mean() / reference.square().mean()
    assert error < 0.01  # 20 dB; a wrong scale anywhere gives less than 10


def test_the_float_network_keeps_its_weights(network: Network, noise: torch.Tensor) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    calibrator = Calibrator(network, SPEC)
    calibrator.observe([noise])
    calibrator.convert()
    changed = [n for n, value in network.state_dict().items() if not torch.equal(before[n], value)]
    assert changed == []


def test_ranges_of_another_network_are_refused(network: Network) -> None:
    calibrator = Calibrator(network, SPEC)
    with pytest.raises(CheckpointError, match=r"in only one of them; calibrate again"):
        calibrator.apply({"trunk": (0.0, 1.0)})


def test_biases_are_whole_multiples_of_their_scale(network: Network, noise: torch.Tensor) -> None:
    calibrator = Calibrator(network, SPEC)
    calibrator.observe([noise])
    graph = calibrator.convert()
    nodes = {node.name: node for node in graph.graph.nodes}
    conv = nodes["conv2d"]
    weight_scale = getattr(graph, conv.args[1].args[1].target)
    bias = graph.get_parameter(conv.args[2].target)
    codes = bias.double() / (weight_scale.double() * np.float32(1 / 255))
    assert (codes - codes.round()).abs().max() < 1e-2


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_every_method_gives_ranges_within_what_was_seen(
    network: Network, noise: torch.Tensor, method: str
) -> None:
    widest = Calibrator(network, SPEC)
    widest.observe([noise])
    calibrator = Calibrator(network, SPEC, method=method)
    calibrator.observe([noise])
    for name, (low, high) in calibrator.ranges().items():
        least, most = widest.ranges()[name]
        slack = 0.02 * (most - least)
        assert least - slack <= low <= high <= most + slack


class TestChoice:
    def test_an_unknown_method_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(
            UsageError, match=r"'mmse'; did you mean 'mse'\? \(minmax, mse, percentile\)"
        ):
            Choice(open_dataset("digits"), method="mmse")

    def test_no_pictures_is_refused(self) -> None:
        with pytest.raises(UsageError, match="0 calibration pictures; at least 1"):
            Choice(open_dataset("digits"), samples=0)

    def test_the_seed_decides_the_pictures(self) -> None:
        digits = open_dataset("digits")
        assert choose(digits, 20, seed=1) == choose(digits, 20, seed=1)
        assert choose(digits, 20, seed=1) != choose(digits, 20, seed=2)

    def test_a_picture_of_the_evaluation_split_is_never_chosen(self) -> None:
        rng = np.random.default_rng(0)
        shared = rng.integers(0, 256, (6, 8, 8, 3), np.uint8)
        own = rng.integers(0, 256, (4, 8, 8, 3), np.uint8)
        dataset = two_classes(train=np.concatenate([shared, own]), val=shared)
        assert sorted(choose(dataset, 100, seed=0)) == [6, 7, 8, 9]

    def test_a_split_with_nothing_of_its_own_is_refused(self) -> None:
        pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
        with pytest.raises(DataError, match="every training picture is in the val split too"):
            choose(two_classes(train=pictures, val=pictures), 2, seed=0)

    def test_a_split_that_calibration_uses_up_is_refused(self) -> None:
        pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
        with pytest.raises(DataError, match="left beside the 4 to calibrate with; give a smaller"):
            choose(two_classes(train=pictures[:4], val=pictures[4:]), 2, seed=0, skip=4)


class TestSparing:
    """Remedies are measured on what calibration leaves."""

    @pytest.mark.parametrize(
        ("there", "asked_for", "used"),
        [(20, 200, 13), (150, 200, 100), (299, 200, 199), (300, 200, 200), (60, 6, 6)],
    )
    def test_a_third_of_few_pictures_is_left(self, there: int, asked_for: int, used: int) -> None:
        dataset = two_classes(train=noise_of(there), val=noise_of(40, seed=1))
        assert sparing(Choice(dataset, asked_for)).samples == used
        # the rest is no copy of what is used
        chosen = choose(dataset, used, seed=0)
        rest = choose(dataset, there, seed=0, without=chosen.values())
        assert set(rest) == set(range(there)) - set(chosen)

    def test_copies_and_evaluation_pictures_do_not_count(self) -> None:
        own = noise_of(30)
        dataset = two_classes(train=np.concatenate([own, own, noise_of(9, seed=1)]), val=own[:6])
        assert sparing(Choice(dataset)).samples == 22  # two thirds of 24 + 9

    @pytest.mark.parametrize("asked_for", [6, 20])
    def test_copies_in_a_split_that_is_large_enough_change_nothing(self, asked_for: int) -> None:
        own = noise_of(50)
        dataset = two_classes(train=np.concatenate([own, own]), val=noise_of(90, seed=1))
        assert sparing(Choice(dataset, asked_for)).samples == asked_for

    def test_fewer_than_20_are_refused_with_what_to_do(self) -> None:
        dataset = two_classes(train=noise_of(19), val=noise_of(4, seed=1))
        words = r"pairs has 19 different training pictures.* at least 20; .*--remedy none"
        with pytest.raises(DataError, match=words):
            sparing(Choice(dataset, samples=2))


def test_pictures_that_calibration_leaves_none_of_are_counted() -> None:
    dataset = two_classes(train=noise_of(19), val=noise_of(4, seed=1))
    taken = choose(dataset, 5000, seed=0).values()
    with pytest.raises(DataError, match=r"of 19 training pictures none is left beside the 19 to"):
        choose(dataset, 1, seed=0, without=taken)


def test_quantize_says_that_fewer_pictures_were_used_than_asked_for() -> None:
    used = Calibration("digits train", 1297, 0, "minmax", ())
    report = calibration.CalibrationReport(used, 31, 0, None, None)
    line = quantize._text(report, Path("run"), 5000).splitlines()[0]
    assert line == "run: calibrated with 1297 pictures of digits train; 5000 were asked for"
    assert "asked for" not in quantize._text(report, Path("run"), 1297)


def noise_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def two_classes(*, train: np.ndarray, val: np.ndarray) -> Dataset:
    def split(name: str, pixels: np.ndarray) -> ArraySplit:
        return ArraySplit(name, lambda: (pixels, np.arange(len(pixels)) % 2))

    return Dataset("pairs", ("a", "b"), {"train": split("train", train), "val": split("val", val)})


def test_calibration_is_kept_with_the_checkpoint_and_the_weights_stay(
    network: Network, tmp_path: Path
) -> None:
    checkpoints.save(tmp_path / "plain", Checkpoint(spec=SPEC), network.state_dict(), float16=True)
    report = calibration.record(
        tmp_path / "plain", tmp_path / "calibrated", Choice(open_dataset("digits"), samples=12)
    )
    record, _ = checkpoints.load(tmp_path / "calibrated")
    assert record.calibration is not None
    assert record.calibration.record == report.calibration
    assert len(set(report.calibration.sha256)) == report.calibration.images == 12
    assert report.held_back == calibration.HELD_BACK
    same = [
        (tmp_path / name / checkpoints.WEIGHTS).read_bytes() for name in ("plain", "calibrated")
    ]
    assert same[0] == same[1]


def test_a_data_set_that_is_used_up_is_not_compared_on(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "plain", Checkpoint(spec=PAIRS), build(PAIRS).state_dict())
    pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    dataset = two_classes(train=pictures[:4], val=pictures[4:])
    report = calibration.record(tmp_path / "plain", tmp_path / "out", Choice(dataset))
    assert (report.calibration.images, report.held_back, report.sqnr_db) == (4, 0, None)


def test_calibrating_with_other_classes_is_refused(network: Network, tmp_path: Path) -> None:
    spec = ModelSpec("mobilenet_v1", 0.25, tuple("abcdefghij"), Preprocess(64, 64))
    with pytest.raises(DataError, match=r"digits has the classes 0, 1, 2.*the checkpoint a, b"):
        calibration.calibrate(Checkpoint(spec=spec), network, Choice(open_dataset("digits")))


def test_the_example_is_one_picture_channels_last() -> None:
    assert tuple(example_input(SPEC).shape) == (1, 64, 64, 3)
