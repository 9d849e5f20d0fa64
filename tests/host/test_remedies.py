"""Each remedy on a network that has the very problem which it is for."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgenet.architecture import Layer
from edgenet.drift.sqnr import sqnr_db
from edgenet.host.integer import IntegerGraph
from edgenet.host.models import Network
from edgenet.host.models.folded import folded
from edgenet.host.quantize import example_input
from edgenet.host.remedy.bias import bias
from edgenet.host.remedy.candidate import Candidate, Material, Remedy, plain
from edgenet.host.remedy.equalize import channel_maxima, equalize, pairs
from edgenet.host.remedy.layers import layers, noisiest
from edgenet.host.remedy.ranges import mse, percentile
from edgenet.host.remedy.rounding import rounding
from edgenet.host.remedy.simulate import scales, walk
from edgenet.host.to_onnx import to_onnx
from edgenet.host.to_tflite import to_tflite
from edgenet.runtime.litert import LiteRT
from edgenet.runtime.onnx import OnnxRuntime
from edgenet.spec import ModelSpec, Preprocess

SPEC = ModelSpec("mobilenet_v1", 0.25, tuple("abcdefghij"), Preprocess(16, 16))


def network(activation: str = "relu6") -> Network:
    """A small MobileNet of 16 px with a residual sum, its channels well behaved."""
    torch.manual_seed(0)
    made = Network(
        (
            Layer("stem", "conv", 3, 8, kernel=3, stride=2, activation=activation),
            Layer("blocks.0.depthwise", "depthwise", 8, 8, kernel=3, activation=activation),
            Layer("blocks.0.pointwise", "pointwise", 8, 16, activation=activation),
            Layer("blocks.1.pointwise", "pointwise", 16, 16),
            Layer("blocks.1.add", "add", 16, 16, second="blocks.0.pointwise"),
            Layer("blocks.2.pointwise", "pointwise", 16, 32, activation=activation),
            Layer("pool", "pool", 32, 32),
            Layer("classifier", "linear", 32, 10),
        )
    )
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.normal_(0.2, 0.2)
    made.classifier.weight.data.normal_(0, 0.3)
    return made.eval()


def conv(made: nn.Module, name: str) -> nn.Conv2d:
    found = made.get_submodule(name).conv
    assert isinstance(found, nn.Conv2d)
    return found


def pictures(seed: int, count: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 16, 16, 3), generator=generator).float() / 255


@pytest.fixture(scope="module")
def material() -> Material:
    return Material(pictures(0).split(16), iterations=300)


def snr(candidate: Candidate, float_network: Network) -> float:
    """Of int8's logits, on pictures that no remedy saw, in dB."""
    shown = pictures(1)
    with torch.inference_mode():
        meant = float_network(shown.permute(0, 3, 1, 2)).numpy()
    return sqnr_db(meant, IntegerGraph(candidate.calibrator().convert()).logits(shown).numpy())


def with_outlier(loud: float) -> Network:
    """One channel of the stem, which nothing reads, answers white alone: 1.5 times ``loud``."""
    made = folded(network("relu"))
    conv(made, "stem").weight.data[0] = loud
    conv(made, "stem").bias.data[0] = -loud * 25.5
    conv(made, "blocks.0.depthwise").weight.data[0] = 0
    return made


def with_spread_channels() -> Network:
    """Half of the stem's channels are hardly more than 0; what reads them makes up for it."""
    made = folded(network())
    conv(made, "stem").weight.data[::2] /= 200
    conv(made, "stem").bias.data[::2] /= 200
    conv(made, "blocks.0.depthwise").weight.data[::2] *= 200
    return made


def with_one_sided_rounding() -> Network:
    """Weights that lie 0.45 of a step above a code, so that nearest rounding takes that away."""
    made = folded(network())
    layer = conv(made, "blocks.2.pointwise")
    step = scales(layer)
    moved = ((layer.weight / step).floor() + 0.45) * step
    largest = layer.weight.abs() == layer.weight.abs().amax(1, keepdim=True)
    layer.weight.data = torch.where(largest, layer.weight, moved).detach()
    return made


def with_spoiled_scales() -> Network:
    """A dead channel has a large weight in every row of its reader, whose scales are spoiled."""
    made = folded(network())
    conv(made, "blocks.0.pointwise").weight.data[0] = 0
    conv(made, "blocks.0.pointwise").bias.data[0] = -1
    conv(made, "blocks.1.pointwise").weight.data[:, 0] = 40
    return made


def with_white(count: int) -> Material:
    """Calibration pictures of noise, but for a white patch in one."""
    shown = pictures(0, count)
    shown[0, :4, :4] = 1
    return Material(shown.split(64))


class TestRanges:
    @pytest.mark.parametrize(
        ("remedy", "loud", "gain"),
        # a mean square weighs a loud value so much that it is left out only among very many
        [(percentile, 1000.0, 10), (mse, 12.0, 0.5)],
    )
    def test_the_rarest_value_no_longer_sets_the_scale_of_the_others(
        self, remedy: Remedy, loud: float, gain: float
    ) -> None:
        material = with_white(384)
        rare = with_outlier(loud)
        first = plain(rare, SPEC, material)
        assert first.ranges["stem"][1] == pytest.approx(1.5 * loud, rel=1e-3)
        found = remedy(first, material)
        assert found.ranges["stem"][1] < 4
        assert found.applied == (remedy.__name__,)
        assert snr(found, rare) > snr(first, rare) + gain

    @pytest.mark.slow
    def test_one_way_of_choosing_takes_the_place_of_the_other(self) -> None:
        material = with_white(384)
        first = plain(with_outlier(12), SPEC, material)
        found = percentile(first, material)
        assert mse(replace(found, ranges=first.ranges), material).applied == ("mse",)

    @pytest.mark.slow
    def test_ranges_without_rare_values_are_left_alone(self, material: Material) -> None:
        saturated = folded(network())
        conv(saturated, "stem").bias.data += 20  # all of its values are 6
        first = plain(saturated, SPEC, material)
        only = replace(first, ranges={"stem": (0.0, 6.0)} | percentile(first, material).ranges)
        assert percentile(only, material) is only


class TestEqualize:
    def test_small_channels_get_more_codes(self, material: Material) -> None:
        spread = with_spread_channels()
        first = plain(spread, SPEC, material)
        found = equalize(first, material)
        assert snr(found, spread) > snr(first, spread) + 10

    def test_the_float_network_answers_as_before(self, material: Material) -> None:
        spread = with_spread_channels()
        found = equalize(plain(spread, SPEC, material), material)
        shown = torch.cat(list(material.batches)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            before, after = spread(shown), found.reference(shown)
        assert not torch.equal(conv(spread, "stem").weight, conv(found.reference, "stem").weight)
        # float32 sums of other summands; a clamp that binds would be off by 1e-2
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)

    def test_a_channel_whose_relu6_binds_stays(self, material: Material) -> None:
        loud = with_spread_channels()
        conv(loud, "stem").bias.data[0] += 20
        found = equalize(plain(loud, SPEC, material), material).reference
        assert torch.equal(conv(found, "stem").weight[0], conv(loud, "stem").weight[0])
        most = channel_maxima(found, material)["stem"]
        assert float(most[0]) == 6
        assert float(most[1:].max()) < 6

    def test_what_a_sum_adds_is_not_scaled(self) -> None:
        names = [(first.name, reader.name) for first, reader in pairs(folded(network()))]
        assert names == [
            ("stem", "blocks.0.depthwise"),
            ("blocks.0.depthwise", "blocks.0.pointwise"),
            ("blocks.2.pointwise", "classifier"),
        ]


class TestBias:
    def test_a_shift_that_rounding_made_is_taken_off(self, material: Material) -> None:
        biased = with_one_sided_rounding()
        first = plain(biased, SPEC, material)
        found = bias(first, material)
        assert snr(found, biased) > snr(first, biased) + 5

    def test_every_channels_mean_is_that_of_the_float_network(self, material: Material) -> None:
        found = bias(plain(with_one_sided_rounding(), SPEC, material), material)
        for step in walk(found, material.batches):
            dims = (0, 2, 3) if step.meant[0].ndim == 4 else (0,)
            error = torch.cat(step.meant) - torch.cat(list(step.given()))
            assert float(error.mean(dims).abs().max()) < 1e-4

    def test_the_float_network_keeps_its_biases(self, material: Material) -> None:
        first = plain(with_one_sided_rounding(), SPEC, material)
        before = deepcopy(first.network.state_dict())
        bias(first, material)
        after = first.network.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.fixture(scope="module")
def rounded(material: Material) -> tuple[Candidate, Candidate]:
    first = plain(with_one_sided_rounding(), SPEC, material)
    return first, rounding(first, material)


class TestRounding:
    def test_codes_are_chosen_for_the_layers_output(
        self, rounded: tuple[Candidate, Candidate]
    ) -> None:
        first, found = rounded
        biased = with_one_sided_rounding()
        assert snr(found, biased) > snr(first, biased) + 5

    def test_every_weight_is_on_one_of_the_two_codes_beside_it(
        self, rounded: tuple[Candidate, Candidate]
    ) -> None:
        first, found = rounded
        for name in ("stem.conv", "blocks.0.depthwise.conv", "classifier"):
            before, after = (c.network.get_submodule(name) for c in (first, found))
            assert torch.equal(scales(before), scales(after))
            codes, exact = (x.weight.detach() / scales(x) for x in (after, before))
            assert float((codes - codes.round()).abs().max()) < 1e-3
            assert float((codes - exact).abs().max()) < 1 + 1e-3

    def test_the_int8_graph_has_these_codes(self, rounded: tuple[Candidate, Candidate]) -> None:
        _, found = rounded
        layer = conv(found.network, "blocks.2.pointwise")
        graph = found.calibrator().convert()
        node = [n for n in graph.graph.nodes if n.target == torch.ops.aten.conv2d.default][-1]
        quantize = node.args[1].args[0]
        weight, scale = (getattr_path(graph, quantize.args[i].target) for i in (0, 1))
        codes = (weight / scale[:, None, None, None]).round()
        np.testing.assert_array_equal(codes, (layer.weight.detach() / scales(layer)).round())


def getattr_path(module: object, path: str) -> Tensor:
    for part in path.split("."):
        module = getattr(module, part)
    assert isinstance(module, Tensor)
    return module.detach()


class TestLayers:
    def test_the_layer_with_the_worst_weights_stays_float(self, material: Material) -> None:
        spoiled = with_spoiled_scales()
        judged = replace(material, better=lambda a, b: snr(a, spoiled) > snr(b, spoiled) + 6)
        first = plain(spoiled, SPEC, material)
        assert noisiest(first, material)[0] == "blocks.1.pointwise"
        found = layers(first, judged)
        assert found.keep_float == ("blocks.1.pointwise",)
        assert found.applied == ("layers",)

    @pytest.mark.slow
    def test_a_layer_that_helps_nothing_is_not_kept(self, material: Material) -> None:
        first = plain(network(), SPEC, material)
        judged = replace(material, better=lambda a, b: False)
        assert layers(first, judged) is first

    def test_a_float_layer_has_the_float_networks_weights_again(self, material: Material) -> None:
        spoiled = with_spoiled_scales()
        first = rounding(plain(spoiled, SPEC, material), replace(material, iterations=5))
        found = layers(first, replace(material, better=lambda a, b: not b.keep_float))
        (name,) = found.keep_float
        weights = [conv(c, name).weight for c in (found.network, spoiled)]
        assert torch.equal(*weights)


@pytest.mark.parametrize(
    "remedies",
    [
        (percentile, equalize, bias, rounding),
        *[pytest.param((one,), marks=pytest.mark.slow) for one in (mse, equalize, bias, rounding)],
    ],
)
def test_every_engine_still_gives_what_the_integer_graph_gives(
    remedies: tuple[Remedy, ...], material: Material, tmp_path: Path
) -> None:
    candidate = plain(with_spread_channels(), SPEC, material)
    for remedy in remedies:
        candidate = remedy(candidate, replace(material, iterations=50))
    graph = candidate.calibrator().convert()
    (tmp_path / "tflite").write_bytes(to_tflite(graph, example_input(SPEC)))
    (tmp_path / "onnx").write_bytes(to_onnx(graph, example_input(SPEC), int8=True))
    pixels = (255 * pictures(1, 32)).round().to(torch.uint8).numpy()
    expected = IntegerGraph(graph).codes(pictures(1, 32)).numpy()
    tflite, onnx = LiteRT().open(tmp_path / "tflite"), OnnxRuntime().open(tmp_path / "onnx")
    mine = np.concatenate([tflite.run([(p[None] ^ 128).view(np.int8)])[0] for p in pixels])
    theirs = np.concatenate([onnx.run([p[None]])[0] for p in pixels]) ^ 128
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(mine, expected)
    np.testing.assert_array_equal(theirs.view(np.int8), expected)


def test_the_simulation_is_the_int8_graph_layer_by_layer(material: Material) -> None:
    candidate = plain(network(), SPEC, material)
    *_, last = walk(candidate, material.batches)
    low, high = candidate.ranges["classifier"]
    step = (high - low) / 255
    simulated = torch.cat(list(last.given()))
    shown = torch.cat(list(material.batches))
    exact = IntegerGraph(candidate.calibrator().convert()).logits(shown)
    # half a step that the graph rounds by, and one for sums that torch rounds the other way
    assert float((simulated - exact).abs().max()) < 2 * step
