from __future__ import annotations

from pathlib import Path

import engines
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, random_network
from sketch import Sketch

from edgenet import int8, tflite
from edgenet.codegen import eliminate
from edgenet.codegen.intervals import intervals
from edgenet.errors import GraphError
from edgenet.int8 import graph as g
from edgenet.int8 import kernels
from edgenet.runtime.reference import ReferenceSession

pytest.importorskip("flatbuffers")
DEAD_CHANNELS = Path(__file__).parents[1] / "golden" / "dead_channels.tflite"


def xnnpack(data, inputs):
    return engines.litert(data, inputs, "AUTO")


def same_outputs(before, after, pictures, theirs):
    """Every output of both models, equal for every picture on every engine."""
    outputs = tflite.read(before, "before").subgraphs[0].outputs
    for picture in pictures:
        for engine in theirs:
            old, new = engine(before, [picture[np.newaxis]]), engine(after, [picture[np.newaxis]])
            for index in outputs:
                np.testing.assert_array_equal(old(index), new(index), err_msg=engine.__name__)


def session(data):
    return ReferenceSession(int8.build(tflite.read(data, "model")))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_outputs_stay_the_same_bit_for_bit(seed):
    network, y = random_network(np.random.default_rng(seed))
    data = network.file(y)
    pictures = network.pictures(64)
    expected = session(data).run([pictures])
    for rounding in ("any", "gemmlowp-double"):
        smaller, _ = eliminate(data, rounding=rounding)
        np.testing.assert_array_equal(session(smaller).run([pictures]), expected)


def test_training_left_two_of_three_channels_dead_and_every_engine_answers_the_same_without():
    """More pictures, real ones, in test_accuracy."""
    data = DEAD_CHANNELS.read_bytes()
    smaller, report = eliminate(data)
    assert report.channels_left < 0.35 * report.channels
    assert report.macs_left < 0.25 * report.macs
    assert len(smaller) < 0.2 * len(data)
    rng = np.random.default_rng(0)
    noise = rng.integers(-128, 128, (96, 96, 3))
    smooth = np.add.outer(np.linspace(-128, 0, 96), np.linspace(0, 127, 96))[..., np.newaxis]
    pictures = np.stack([noise, 0 * noise - 128, smooth + 0 * noise, noise // 2]).astype(np.int8)
    same_outputs(data, smaller, pictures, (engines.micro, engines.litert, xnnpack))


@pytest.mark.parametrize("seed", range(16))
def test_outputs_stay_the_same_on_every_engine(seed):
    network, y = random_network(np.random.default_rng(seed))
    data = network.file(y)
    smaller, report = eliminate(data)
    assert report.channels_left < report.channels
    assert report.macs_left < report.macs
    same_outputs(data, smaller, network.pictures(4), (engines.micro, engines.litert, xnnpack))


@pytest.mark.parametrize("seed", range(6))
def test_uint8_models_shrink_too(seed):
    network, y = random_network(np.random.default_rng(seed), dtype="uint8")
    data = network.file(y)
    smaller, report = eliminate(data)
    assert report.channels_left < report.channels
    same_outputs(data, smaller, network.pictures(4), (engines.litert, engines.reference))
    assert {t.dtype for t in tflite.read(smaller, "it").subgraphs[0].tensors} == {"uint8", "int32"}


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_no_code_ever_leaves_its_interval(seed):
    network, y = random_network(np.random.default_rng(seed))
    graph = int8.build(tflite.read(network.file(y), "model"))
    exact, wider = intervals(graph), intervals(graph, "any")
    run = ReferenceSession(graph)
    run.run([network.pictures(64)])
    for index in graph.values:
        inside(exact[index], run.tensor(index))
        assert (wider[index].low <= exact[index].low).all()
        assert (wider[index].high >= exact[index].high).all()


def inside(interval, codes):
    rows = codes.reshape(-1, len(interval.low))
    assert (rows.min(0) >= interval.low).all()
    assert (rows.max(0) <= interval.high).all()


@pytest.mark.parametrize("seed", range(16))
def test_no_code_of_xnnpack_leaves_the_interval_of_any_rounding(seed):
    network, _ = random_network(np.random.default_rng(seed))
    made = [operator.outputs[0] for operator in network.sketch.operators]
    data = network.file(*made)  # XNNPACK shows outputs only
    found = intervals(int8.build(tflite.read(data, "model")), "any")
    for picture in network.pictures(4):
        tensor = xnnpack(data, [picture[np.newaxis]])
        for index in made:
            inside(found[index], tensor(index))


@pytest.mark.parametrize("bias", [2, -2])
def test_a_channel_that_is_constant_for_one_rounding_alone_stays_for_any(bias):
    """A sum of half a step is 1 where halves go away from zero, and 0 where they go to even."""
    data = one_by_one([0, bias], [1, 0], hidden_scale=4.0, hidden_zero_point=0, activation="NONE")
    kept, _ = eliminate(data)
    assert weights_left(kept)[0][0] == 2
    gone, _ = eliminate(data, rounding="gemmlowp-double")
    assert weights_left(gone)[0][0] == 1
    picture = np.full((1, 4, 4, 1), -128, np.int8)
    same_outputs(data, gone, picture, (engines.micro, engines.litert))
    with pytest.raises(AssertionError, match="xnnpack"):
        same_outputs(data, gone, picture, (xnnpack,))


def one_by_one(
    bias, weight, *, activation="RELU6", padding="VALID", kernel=3, last=None, hidden_scale=1.0,
    hidden_zero_point=-128,
):  # fmt: skip
    """A 1x1 convolution of two channels, then one with a kernel that reads both."""
    sketch = Sketch()
    x = sketch.tensor((1, 4, 4, 1), scale=1.0, zero_point=-128)
    hidden = sketch.tensor((1, 4, 4, 2), scale=hidden_scale, zero_point=hidden_zero_point)
    window = {"stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1}
    sketch.weighted(
        "CONV_2D", x, np.array(weight, np.int8).reshape(2, 1, 1, 1), np.array(bias, np.int32),
        hidden, weight_scale=[1.0], padding="VALID", fused_activation_function=activation,
        **window,
    )  # fmt: skip
    size = 4 if padding == "SAME" else 5 - kernel
    y = sketch.tensor((1, size, size, 1), scale=4.0, zero_point=0)
    reads = np.full((1, kernel, kernel, 2), 3, np.int8) if last is None else last
    sketch.weighted(
        "CONV_2D", hidden, reads, np.array([5], np.int32), y,
        weight_scale=[1.0], padding=padding, fused_activation_function="NONE", **window,
    )  # fmt: skip
    return tflite.write(sketch.model([x], [y]))


def weights_left(data):
    return [layer.weight.shape for layer in int8.build(tflite.read(data, "it")).layers]


def test_a_constant_channel_moves_into_the_bias_of_what_reads_it():
    data = one_by_one(bias=[0, 3], weight=[1, 0])
    smaller, report = eliminate(data)
    assert weights_left(smaller) == [(1, 1, 1, 1), (1, 3, 3, 1)]
    (_, last) = int8.build(tflite.read(smaller, "it")).layers
    assert last.bias.tolist() == [5 + 9 * 3 * 3]
    assert (report.macs, report.macs_left) == (16 * 2 + 4 * 18, 16 + 4 * 9)
    assert report.bytes_left == len(smaller)


def test_a_constant_that_is_not_zero_stays_where_padding_would_show_it():
    assert weights_left(eliminate(one_by_one([0, 3], [1, 0], padding="SAME"))[0])[0][0] == 2


def test_a_constant_zero_goes_from_under_padding_too():
    smaller, _ = eliminate(one_by_one([0, 0], [1, 0], padding="SAME"))
    assert weights_left(smaller) == [(1, 1, 1, 1), (1, 3, 3, 1)]


@pytest.mark.parametrize(("bias", "left"), [(-255, 1), (-254, 2)])
def test_a_channel_is_dead_when_no_input_wakes_it_and_alive_when_one_does(bias, left):
    """The input is 0 to 255, so the sum is at most 255 + bias."""
    assert weights_left(eliminate(one_by_one([0, bias], [1, 1]))[0])[0][0] == left


def test_a_channel_whose_readers_have_no_weight_for_it_goes():
    last = np.full((1, 3, 3, 2), 3, np.int8)
    last[..., 0] = 0
    assert weights_left(eliminate(one_by_one([0, 0], [1, 2], last=last))[0])[0] == (1, 1, 1, 1)


def test_where_every_channel_is_constant_one_stays():
    smaller, _ = eliminate(one_by_one([1, 2], [0, 0]))
    assert weights_left(smaller) == [(1, 1, 1, 1), (1, 3, 3, 1)]
    same_outputs(one_by_one([1, 2], [0, 0]), smaller, np.zeros((1, 4, 4, 1), np.int8),
                 (engines.micro,))  # fmt: skip


@pytest.mark.parametrize(("bias", "ends"), [(400, [127, -128, 127]), (0, [-128, 127, -128])])
def test_a_sum_that_int32_cannot_hold_proves_nothing(bias, ends):
    """Times 2^17 the sums of the second channel wrap around: those at both ends give one code, and
    those between give others.
    """
    data = one_by_one([0, bias], [1, 127], activation="NONE", hidden_scale=2.0**-16)
    (layer, _) = int8.build(tflite.read(data, "it")).layers
    sums = np.array([bias, bias + 16129 - (14000 if bias == 0 else 0), bias + 127 * 255])
    assert kernels.requantize(sums, layer.out).tolist() == ends
    assert weights_left(eliminate(data)[0])[0][0] == 2


def test_a_bias_that_would_overflow_leaves_the_channel_in_place():
    sketch = Sketch()
    x = sketch.tensor((1, 2), scale=1.0, zero_point=-128)
    hidden = sketch.tensor((1, 2), scale=1.0, zero_point=-128)
    flat = {"weights_format": "DEFAULT", "keep_num_dims": False}
    sketch.weighted(
        "FULLY_CONNECTED", x, np.array([[1, 0], [0, 0]], np.int8), np.array([0, 200], np.int32),
        hidden, weight_scale=[1.0], fused_activation_function="NONE", **flat,
    )  # fmt: skip
    y = sketch.tensor((1, 1), scale=1e6, zero_point=0)
    sketch.weighted(
        "FULLY_CONNECTED", hidden, np.array([[1, 100]], np.int8),
        np.array([2**31 - 1000], np.int32), y, weight_scale=[1.0],
        fused_activation_function="NONE", **flat,
    )  # fmt: skip
    smaller, _ = eliminate(tflite.write(sketch.model([x], [y])))
    assert weights_left(smaller)[0] == (2, 2)


def test_a_layer_without_bias_gets_one_where_a_constant_needs_it():
    sketch = Sketch()
    x = sketch.tensor((1, 2), scale=1.0, zero_point=-128)
    hidden = sketch.tensor((1, 2), scale=1.0, zero_point=-128)
    flat = {"weights_format": "DEFAULT", "keep_num_dims": False}
    sketch.weighted(
        "FULLY_CONNECTED", x, np.array([[1, 0], [0, 0]], np.int8), np.array([0, 9], np.int32),
        hidden, weight_scale=[1.0], fused_activation_function="NONE", **flat,
    )  # fmt: skip
    y = sketch.tensor((1, 2), scale=2.0, zero_point=0)
    sketch.weighted(
        "FULLY_CONNECTED", hidden, np.array([[1, 5], [2, 7]], np.int8), None, y,
        weight_scale=[1.0], fused_activation_function="NONE", **flat,
    )  # fmt: skip
    data = tflite.write(sketch.model([x], [y]))
    smaller, _ = eliminate(data)
    assert weights_left(smaller) == [(1, 2), (2, 1)]
    pictures = np.random.default_rng(0).integers(-128, 128, (8, 2)).astype(np.int8)
    same_outputs(data, smaller, pictures, (engines.micro, engines.litert, xnnpack))


def test_weights_that_two_operators_share_are_cut_for_each():
    network = Network(np.random.default_rng(3), size=4, channels=4)
    sketch = network.sketch
    window = {"stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1}
    first = sketch.tensor((1, 4, 4, 4), scale=0.05, zero_point=-128)
    second = sketch.tensor((1, 4, 4, 4), scale=0.05, zero_point=-128)
    weight = np.eye(4, dtype=np.int8).reshape(4, 1, 1, 4) * 100
    weight[1] = 0
    kernel = sketch.constant(weight, scale=[0.05], axis=0)
    bias = sketch.constant(np.array([0, 700, 9, 9], np.int32))
    for source, result in ((network.input, first), (first, second)):
        sketch.operator("CONV_2D", [source, kernel, bias], result, padding="VALID",
                        fused_activation_function="RELU", **window)  # fmt: skip
    y = network.fully_connected(network.mean(second), 3, dead=False)
    data = network.file(y)
    smaller, report = eliminate(data)
    assert report.channels_left < report.channels
    shapes = weights_left_of_convs(smaller)
    assert shapes[0] != shapes[1] or shapes[0] == (3, 1, 1, 4)
    same_outputs(data, smaller, network.pictures(4), (engines.micro, engines.litert))


def weights_left_of_convs(data):
    layers = int8.build(tflite.read(data, "it")).layers
    return [layer.weight.shape for layer in layers if isinstance(layer, g.Conv)]


def test_labels_signatures_and_metadata_stay():
    data = one_by_one([0, 3], [1, 0])
    labelled = tflite.write(tflite.read(data, "it"), {"labels.txt": b"cat\n"})
    smaller, _ = eliminate(labelled)
    assert tflite.associated_files(smaller, "it") == {"labels.txt": b"cat\n"}
    before, after = tflite.read(data, "it"), tflite.read(smaller, "it")
    assert after.signatures == before.signatures
    assert after.metadata == before.metadata


def test_a_model_with_nothing_to_eliminate_keeps_its_bytes():
    data = one_by_one([0, 3], [1, 1])
    smaller, report = eliminate(data)
    assert smaller == data
    assert report.macs_left == report.macs
    assert report.channels_left == report.channels == 3


def test_what_has_no_integer_form_is_refused():
    with pytest.raises(GraphError, match="it is not a TFLite model"):
        eliminate(b"no model", "it")
