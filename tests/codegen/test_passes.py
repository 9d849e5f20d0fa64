from __future__ import annotations

from collections import Counter

import engines
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, random_network

from edgenet import codegen, int8, tflite
from edgenet.codegen.passes import simplify
from edgenet.errors import GraphError
from edgenet.int8 import graph as g
from edgenet.int8.graph import Padding
from edgenet.runtime.reference import ReferenceSession

pytest.importorskip("flatbuffers")


def built(network: Network, *outputs: int) -> g.Graph:
    return int8.build(tflite.read(network.file(*outputs), "network"))


def network(seed: int = 0, **kwargs: int) -> Network:
    return Network(np.random.default_rng(seed), **kwargs)


def kinds(graph: g.Graph) -> list[str]:
    return [type(layer).__name__ for layer in graph.layers]


def same_codes(before: g.Graph, after: g.Graph, pictures: np.ndarray) -> None:
    """Outputs, and every value that is left."""
    old, new = ReferenceSession(before), ReferenceSession(after)
    for expected, found in zip(old.run([pictures]), new.run([pictures]), strict=True):
        np.testing.assert_array_equal(found, expected)
    for index in after.values:
        assert after.values[index] == before.values[index]
        np.testing.assert_array_equal(old.tensor(index), new.tensor(index))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_passes_change_no_code(seed):
    drawn, y = random_network(np.random.default_rng(seed))
    graph = built(drawn, y)
    simpler = simplify(graph)
    assert len(simpler.layers) <= len(graph.layers)
    same_codes(graph, simpler, drawn.pictures(16))
    assert simplify(simpler) is simpler


def test_padding_becomes_the_convolutions_own():
    net = network()
    x = net.pad(net.input)
    first, second = net.conv(x, 3, kernel=3), net.depthwise(x, kernel=3)
    graph = built(net, first, second)
    simpler = simplify(graph)
    assert kinds(simpler) == ["Conv", "Depthwise"]
    pad = graph.layers[0].padding
    assert pad
    for old, new in zip(graph.layers[1:], simpler.layers, strict=True):
        assert new.padding == Padding(
            pad.top + old.padding.top, pad.bottom + old.padding.bottom,
            pad.left + old.padding.left, pad.right + old.padding.right,
        )  # fmt: skip
    same_codes(graph, simpler, net.pictures(8))


def test_padding_that_another_operator_reads_stays():
    net = network()
    x = net.pad(net.input)
    graph = built(net, net.conv(x, 3, kernel=3), net.pool(x, "AVERAGE_POOL_2D"))
    assert kinds(simplify(graph)) == ["Pad", "Conv", "Pool"]


def test_padding_that_is_an_output_stays():
    net = network()
    x = net.pad(net.input)
    graph = built(net, net.conv(x, 3, kernel=3), x)
    assert kinds(simplify(graph)) == ["Pad", "Conv"]


def test_a_transposed_mean_becomes_a_global_pool():
    net = network()
    graph = built(net, net.transposed_mean(net.conv(net.input, 4)))
    simpler = simplify(graph)
    assert kinds(simpler) == ["Conv", "Mean"]
    assert simpler.layers[1].axes == (1, 2)
    same_codes(graph, simpler, net.pictures(8))


def test_a_transpose_that_orders_what_mean_keeps_stays():
    net = network()
    x = net.conv(net.input, 4)
    shape = net.shape(x)
    turned = net._like(x, (1, shape[3], shape[1], shape[2]))
    order = net.sketch.constant(np.array([0, 3, 1, 2], np.int32))
    net.sketch.operator("TRANSPOSE", [x, order], turned)
    y = net._value((1, shape[3], shape[1]))
    net.sketch.operator(
        "MEAN", [turned, net.sketch.constant(np.array([3], np.int32))], y, keep_dims=False
    )
    graph = built(net, y)
    assert kinds(simplify(graph)) == ["Conv", "Transpose", "Mean"]
    with pytest.raises(GraphError, match=r"operator TRANSPOSE 1, tensor \d+ 't\d+', is turned by"):
        codegen.read(net.file(y), "network")


def test_a_transpose_of_one_row_and_column_is_no_work():
    net = network(size=1)
    x = net.conv(net.input, 4)
    turned = net._like(x, (1, 4, 1, 1))
    order = net.sketch.constant(np.array([0, 3, 1, 2], np.int32))
    net.sketch.operator("TRANSPOSE", [x, order], turned)
    graph = built(net, net.fully_connected(turned, 3))
    simpler = simplify(graph)
    assert kinds(simpler) == ["Conv", "FullyConnected"]
    same_codes(graph, simpler, net.pictures(8))


def test_a_reshape_goes_where_its_input_can_come_in_that_shape():
    net = network()
    x = net.reshape(net.conv(net.input, 4), (1, -1))
    graph = built(net, net.softmax(x))
    simpler = simplify(graph)
    assert kinds(simpler) == ["Conv", "Softmax"]
    assert simpler.values[simpler.layers[0].output].shape == (1, 256)
    same_codes(graph, simpler, net.pictures(8))


def test_a_reshape_of_the_input_goes_where_its_readers_do_not_care():
    net = network()
    graph = built(net, net.fully_connected(net.reshape(net.input, (1, -1)), 3))
    assert kinds(simplify(graph)) == ["FullyConnected"]


def test_a_reshape_of_the_input_stays_where_its_readers_do():
    net = network(size=4, channels=4)
    graph = built(net, net.conv(net.reshape(net.input, (1, 8, 8, 1)), 3, kernel=3))
    assert kinds(simplify(graph)) == ["Reshape", "Conv"]


def test_a_value_that_two_read_is_not_reshaped_for_one():
    net = network()
    x = net.conv(net.input, 4)
    graph = built(net, net.softmax(net.reshape(x, (1, -1))), net.conv(x, 3, kernel=3))
    simpler = simplify(graph)
    assert Counter(kinds(simpler)) == {"Conv": 2, "Reshape": 1, "Softmax": 1}
    same_codes(graph, simpler, net.pictures(8))


def test_operators_that_change_no_code_go():
    net = network()
    x = net.conv(net.input, 4)
    tensor = net.sketch.tensors[x]
    copied = net._like(x, net.shape(x))
    net.sketch.operator("QUANTIZE", [x], copied)
    joined = net.concatenation(copied)
    graph = built(net, net.conv(joined, 2))
    assert tensor.scale == net.sketch.tensors[copied].scale
    simpler = simplify(graph)
    assert kinds(simpler) == ["Conv", "Conv"]
    same_codes(graph, simpler, net.pictures(8))


def test_what_nothing_reads_goes():
    net = network()
    x = net.conv(net.input, 4)
    net.conv(x, 2)
    assert kinds(simplify(built(net, x))) == ["Conv"]


@pytest.mark.parametrize("seed", range(8))
def test_zero_points_fit_into_the_bias(seed):
    """A sum of codes and the folded bias is the sum of codes less their zero point and the bias."""
    net = network(seed)
    graph = built(net, net.fully_connected(net.depthwise(net.conv(net.input, 4, kernel=3)), 3))
    session = ReferenceSession(graph)
    session.run([net.pictures(4)])
    for layer in graph.layers:
        codes = session.tensor(layer.inputs[0]).astype(np.int64)
        if isinstance(layer, g.FullyConnected):
            found = codes.reshape(4, -1) @ layer.weight.T.astype(np.int64) + layer.folded_bias()
            plain = (codes.reshape(4, -1) - layer.input_zero_point) @ layer.weight.T.astype(
                np.int64
            )
            np.testing.assert_array_equal(found, plain + layer.bias)
        else:
            ones = np.ones_like(layer.weight, np.int64).sum() // layer.outputs
            assert layer.folded_bias().shape == layer.bias.shape
            everywhere = np.full(ones, layer.input_zero_point)
            rows = np.moveaxis(layer.weight, layer.output_axis, 0).reshape(layer.outputs, -1)
            found = rows.astype(np.int64) @ everywhere + layer.folded_bias()
            np.testing.assert_array_equal(found, layer.bias)  # padding adds nothing


def test_the_graph_of_c_has_the_outputs_of_the_file_it_was_read_from():
    for seed in range(6):
        drawn, y = random_network(np.random.default_rng(seed))
        data = drawn.file(y)
        graph, report = codegen.read(data, "network")
        assert report.macs_left < report.macs
        assert "Transpose" not in kinds(graph)
        pictures = drawn.pictures(3)
        found = ReferenceSession(graph).run([pictures])[0]
        for picture, codes in zip(pictures, found, strict=True):
            expected = engines.micro(data, [picture[np.newaxis]])(y)
            np.testing.assert_array_equal(codes, expected[0])


def test_means_over_other_axes_have_no_kernel():
    net = network()
    x = net.conv(net.input, 4)
    y = net._value((1, *net.shape(x)[1:3]))
    net.sketch.operator(
        "MEAN", [x, net.sketch.constant(np.array([-1], np.int32))], y, keep_dims=False
    )
    with pytest.raises(GraphError, match=r"operator MEAN 1, .* averaged over the axes \(3,\)"):
        codegen.read(net.file(y), "network")


def test_an_input_in_another_shape_stays_where_it_is_an_output():
    net = network()
    flat = net.reshape(net.input, (1, -1))
    assert kinds(simplify(built(net, net.fully_connected(flat, 3), flat))) == [
        "Reshape",
        "FullyConnected",
    ]


def test_a_quantize_to_another_zero_point_stays():
    net = network()
    x = net.conv(net.input, 4)
    tensor = net.sketch.tensors[x]
    moved = net._value(
        net.shape(x), scale=tensor.scale[0], zero_point=tensor.zero_point[0] // 2 + 7
    )
    net.sketch.operator("QUANTIZE", [x], moved)
    graph = built(net, net.conv(moved, 2))
    simpler = simplify(graph)
    assert kinds(simpler) == ["Conv", "Rescale", "Conv"]
    same_codes(graph, simpler, net.pictures(8))
