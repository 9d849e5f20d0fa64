from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.drift.evaluate import Options, evaluate
from edgenet.drift.layers import LayerComparison, count_clipped, pair
from edgenet.errors import UsageError
from edgenet.runtime.litert import Operator
from edgenet.spec import TensorSpec

SPEC = TensorSpec("t", (1, 4), "int8", scale=(0.5,), zero_point=(-28,))  # reaches -50 to 77.5


def operators(*names: str) -> tuple[Operator, ...]:
    return tuple(Operator(name, (n,), (n + 1,)) for n, name in enumerate(names))


def test_layers_are_paired_by_their_order():
    assert pair(operators("CONV_2D", "MEAN"), operators("CONV_2D", "MEAN")) == [(1, 1), (2, 2)]


def test_a_layer_that_stays_float_is_compared_where_it_hands_on_int8():
    floats = operators("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN")
    mixed = operators("DEQUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "QUANTIZE", "MEAN")
    # the first convolution hands floats on, the second is quantized
    assert pair(floats, mixed) == [(1, 2), (2, 4), (3, 5)]


def test_other_operators_are_refused_by_name():
    with pytest.raises(UsageError, match=r"operator 1 is PAD in fp32\.tflite and MEAN in int8"):
        pair(operators("CONV_2D", "PAD", "MEAN"), operators("CONV_2D", "MEAN"))


def test_more_operators_are_refused_by_number():
    with pytest.raises(UsageError, match=r"fp32\.tflite has 2 operators and int8\.tflite has 1"):
        pair(operators("CONV_2D", "MEAN"), operators("CONV_2D"))


def test_values_that_int8_cannot_reach_are_counted():
    exact = np.array([-50.2, -50.3, 77.7, 77.8, 0, 60], np.float32)
    assert count_clipped(exact, SPEC) == 2


@given(st.floats(-100, 100))
def test_clipped_is_what_moves_more_than_half_a_step_when_quantized(value):
    code = np.clip(np.rint(value / 0.5) - 28, -128, 127)
    moved = abs(0.5 * (code + 28) - value)
    assert count_clipped(np.array([value]), SPEC) == (moved > 0.25)


def test_a_float_tensor_clips_nothing():
    assert count_clipped(np.array([1e9]), TensorSpec("t", (1,), "float32")) == 0


def test_layers_of_a_bundle_are_named_and_the_worst_is_first(tiny, dataset):
    layers = evaluate(tiny, dataset, Options(layers=True)).layers
    named = {layer.index: (layer.operator, layer.shape) for layer in layers}
    assert named == {
        0: ("CONV_2D", (1, 8, 8, 8)),
        1: ("DEPTHWISE_CONV_2D", (1, 8, 8, 8)),
        2: ("CONV_2D", (1, 8, 8, 8)),
        3: ("MEAN", (1, 8)),
        4: ("FULLY_CONNECTED", (1, 6)),
    }
    ratios = [layer.snr_db for layer in layers]
    assert ratios == sorted(ratios)
    assert ratios[0] > 20
    assert ratios[-1] < 60


def test_gained_is_the_difference_to_the_layer_before(tiny, dataset):
    layers = evaluate(tiny, dataset, Options(layers=True)).layers
    ordered = sorted(layers, key=lambda layer: layer.index)
    assert ordered[0].gained_db is None
    for before, here in itertools.pairwise(ordered):
        assert here.gained_db == pytest.approx(here.snr_db - before.snr_db)


def test_the_badly_quantized_layer_is_found(coarse, tiny, dataset):
    bad, good = (
        {layer.index: layer for layer in evaluate(b, dataset, Options(layers=True)).layers}
        for b in (coarse, tiny)
    )
    assert bad[4].snr_db < good[4].snr_db - 10
    assert [bad[n] for n in range(4)] == [good[n] for n in range(4)]


def test_the_last_layer_has_the_noise_of_the_logits(tiny, dataset):
    report = evaluate(tiny, dataset, Options(max_images=40, layers=True))
    assert report.layer_images == 40
    last = max(report.layers, key=lambda layer: layer.index)
    assert last.snr_db == pytest.approx(report.results[1].drift.snr_db, abs=1e-6)


@pytest.mark.parametrize("lacking", ["fp32.tflite", "int8.tflite"])
def test_a_bundle_without_both_graphs_is_refused_before_any_picture(rewrite, dataset, lacking):
    bundle = rewrite(variants=tuple({"fp32.tflite", "int8.tflite", "fp32.onnx"} - {lacking}))
    told = []
    with pytest.raises(UsageError, match=rf"has no {lacking}; layers are compared between"):
        evaluate(bundle, dataset, Options(layers=True), lambda *step: told.append(step))
    assert told == []


def test_both_graphs_of_one_model_are_equal(rewrite, tiny, pictures):
    # the float graph in both places: no noise, and so no number of decibels
    bundle = rewrite(models={"int8.tflite": tiny.model("fp32.tflite").read_bytes()})
    comparison = LayerComparison(bundle)
    layers = comparison.measure(iter(pictures[:3]), 3)
    assert {layer.snr_db for layer in layers} == {None}
    assert {layer.gained_db for layer in layers} == {None}
