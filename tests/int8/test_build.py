"""What the int8 graph refuses, and in which words."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, random_network
from sketch import Sketch, model_of

from edgenet import int8, tflite
from edgenet.errors import GraphError

pytest.importorskip("flatbuffers")

TINY = Path(__file__).parent.parent / "golden/tiny/models/int8.tflite"
WINDOW = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1,
          "dilation_w_factor": 1, "fused_activation_function": "NONE"}  # fmt: skip


class Conv:
    """A model of one convolution, with something changed."""

    def __init__(self) -> None:
        self.sketch = Sketch()
        self.shape = (1, 4, 4, 2)
        self.input = {"scale": 1.0}
        self.weight = {"scale": [1.0], "axis": 0}
        self.kernel = np.ones((3, 1, 1, 2), np.int8)
        self.bias = np.zeros(3, np.int32)
        self.result = {"scale": 1.0}
        self.result_shape = (1, 4, 4, 3)
        self.options = dict(WINDOW)
        self.name = "CONV_2D"

    def model(self) -> tflite.Model:
        x = self.sketch.tensor(self.shape, **self.input)
        inputs = [x, self.sketch.constant(self.kernel, **self.weight)]
        inputs.append(self.sketch.constant(self.bias))
        y = self.sketch.tensor(self.result_shape, **self.result)
        self.sketch.operator(self.name, inputs, y, **self.options)
        return self.sketch.model([x], [y])


def changed(**attributes: object) -> tflite.Model:
    conv = Conv()
    for name, value in attributes.items():
        assert hasattr(conv, name)
        setattr(conv, name, value)
    return conv.model()


def test_a_convolution_as_it_should_be_is_taken():
    (layer,) = int8.build(changed()).layers
    assert layer.name == "CONV_2D 0"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"name": "HARD_SWISH"},
         "operator HARD_SWISH 0, tensor 3 't3', cannot be computed: this operator is not supported;"
         " these are: ADD, AVERAGE.* and DEQUANTIZE between float and int8 at the inputs and out"),
        ({"options": WINDOW | {"dilation_w_factor": 2}}, "has dilation_w_factor 2; only 1 is"),
        ({"options": WINDOW | {"fused_activation_function": "TANH"}},
         "has fused_activation_function TANH; only NONE or RELU or RELU6 or RELU_N1_TO_1"),
        ({"options": {}}, "lacks its option dilation_h_factor|lacks its option stride_h"),
        ({"options": WINDOW | {"stride_h": 0}}, r"slides a window of \(1, 1\) by \(0, 1\)"),
        ({"input": {"scale": 1.0, "dtype": "int16"}},
         "an input, tensor 0 't0', is int16, which has no int8 form here; quantize the model"),
        ({"input": {"dtype": "float32"}, "result": {"dtype": "float32"}},
         "operator CONV_2D 0, tensor 0 't0', is float32, which has no int8 form here; quantize"),
        ({"input": {"scale": [1.0, 1.0]}}, "tensor 0 't0', has 2 scales; an activation needs one"),
        ({"input": {"scale": 0.0}}, "tensor 0 't0', has the scale 0.0; an activation needs"),
        ({"input": {}}, "tensor 0 't0', has 0 scales"),
        ({"input": {"scale": 1.0, "zero_point": 300}}, "has the zero point 300, which is no code"),
        ({"shape": (2, 4, 4, 2)}, r"input 't0' has the shape \(2, 4, 4, 2\); one pict"),
        ({"shape": (1, 4, 4, 5)}, "tensor 1 't1', has 2 input channels, its input 5"),
        ({"result_shape": (1, 4, 3, 3)},
         r"tensor 3 't3', has the shape \(1, 4, 3, 3\), but its operator gives \(1, 4, 4, 3\)"),
        ({"result": {"scale": 1.0, "dtype": "uint8", "zero_point": 9}}, "is uint8, but tensor 0"),
        ({"bias": np.zeros(2, np.int32)}, "tensor 2 't2', has 2 values; 3 are needed"),
        ({"bias": np.zeros(3, np.int16)}, "tensor 2 't2', is int16; int32 is supported here"),
        ({"weight": {"scale": [1.0, 2.0], "axis": 0}},
         "tensor 1 't1', has 2 scales along axis 0; one, or 3 along axis 0, above 0, are needed"),
        ({"weight": {"scale": [1.0, 1.0, 1.0], "axis": 3}}, "has 3 scales along axis 3"),
        ({"weight": {"scale": [1.0], "zero_point": 4}}, "has a zero point; int8 weights have none"),
        ({"kernel": np.ones((3, 2), np.int8)}, r"has the shape \(3, 2\); 4 axes"),
        ({"kernel": np.ones((3, 1, 1, 2), np.uint8)}, "tensor 1 't1', is uint8; int8 is"),
        ({"result": {"scale": 1e-12}}, "scales sums by 1e.12, which fixed point cannot hold"),
        ({"options": WINDOW | {"padding": "VALID"}, "shape": (1, 4, 4, 2),
          "kernel": np.ones((3, 5, 5, 2), np.int8)},
         r"has the shape \(1, 4, 4, 2\), smaller than the window \(5, 5\)"),
    ],
)  # fmt: skip
def test_what_has_no_integer_form_is_refused_by_operator_tensor_and_reason(attributes, words):
    with pytest.raises(GraphError, match=words) as refused:
        int8.build(changed(**attributes))
    assert str(refused.value).startswith("sketch")


def network() -> Network:
    return Network(np.random.default_rng(0))


def model_with(net: Network, *outputs: int) -> tflite.Model:
    return net.sketch.model([net.input], outputs)


def test_values_of_other_shapes_cannot_be_added():
    net = network()
    y = net.add(net.input, net.conv(net.input, 3, kernel=3, stride=2))
    with pytest.raises(GraphError, match=r"operator ADD 1, tensor \d+ .* has the shape .* gives"):
        int8.build(model_with(net, y))


def test_constants_cannot_be_added():
    net = network()
    shape = net.shape(net.input)
    constant = net.sketch.constant(np.zeros(shape, np.int8), scale=[0.1])
    with pytest.raises(GraphError, match="ADD 0, tensor 1 't1', is a constant where only an activ"):
        int8.build(model_with(net, net.add(net.input, constant)))


def test_float_inside_a_model_is_refused():
    net = network()
    real = net.sketch.tensor(net.shape(net.input), dtype="float32")
    net.sketch.operator("DEQUANTIZE", [net.input], real)
    y = net._value(net.shape(net.input))
    net.sketch.operator("QUANTIZE", [real], y)
    with pytest.raises(GraphError, match="DEQUANTIZE 0, tensor 1 't1', goes on in float; DEQUANT"):
        int8.build(model_with(net, y))


def test_softmax_must_give_the_scale_that_its_arithmetic_has():
    net = network()
    y = net.sketch.operator("SOFTMAX", [net.input], net._value(net.shape(net.input)), beta=1.0)
    with pytest.raises(GraphError, match="SOFTMAX gives 1/256, from code -128 on"):
        int8.build(model_with(net, y))


def test_values_side_by_side_need_one_scale():
    net = network()
    other = net._like(net.input, net.shape(net.input))
    shape = (*net.shape(net.input)[:3], 6)
    y = net.sketch.operator(
        "CONCATENATION", [net.input, net.conv(net.input, 3)], net._like(other, shape), axis=3,
        fused_activation_function="NONE",
    )  # fmt: skip
    with pytest.raises(GraphError, match="has another scale or zero point than tensor"):
        int8.build(model_with(net, y))


def test_only_rows_and_columns_are_padded():
    net = network()
    amounts = net.sketch.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int32))
    y = net._like(net.input, (*net.shape(net.input)[:3], 4))
    net.sketch.operator("PAD", [net.input, amounts], y)
    with pytest.raises(GraphError, match="only rows and columns are supported"):
        int8.build(model_with(net, y))


def test_a_file_that_reads_before_it_computes_is_refused():
    net = network()
    y = net.conv(net.conv(net.input, 3), 3)
    model = model_with(net, y)
    graph = model.subgraphs[0]
    turned = dataclasses.replace(graph, operators=graph.operators[::-1])
    with pytest.raises(
        GraphError, match="is used before any operator gives it; the file is damaged"
    ):
        int8.build(model_of([turned]))


def test_a_file_that_computes_a_tensor_twice_is_refused():
    net = network()
    model = model_with(net, net.conv(net.input, 3))
    graph = model.subgraphs[0]
    with pytest.raises(GraphError, match="is given twice; the file is damaged"):
        int8.build(model_of([dataclasses.replace(graph, operators=graph.operators * 2)]))


def test_models_of_several_subgraphs_are_refused():
    graph = model_with(network(), 0).subgraphs[0]
    with pytest.raises(GraphError, match="has 2 subgraphs; only a model of one is supported"):
        int8.build(model_of([graph, graph]))


def test_a_batch_of_any_size_is_taken_as_one_picture():
    """TensorFlow's converter says that the first size may change."""
    net = network()
    model = model_with(net, net.conv(net.input, 3))
    graph = model.subgraphs[0]
    tensors = [
        dataclasses.replace(tensor, shape_signature=(-1, *tensor.shape[1:]))
        if len(tensor.shape) == 4 and tensor.data is None
        else tensor
        for tensor in graph.tensors
    ]
    assert int8.build(model_of([dataclasses.replace(graph, tensors=tuple(tensors))])).layers


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_damaged_models_are_refused_and_crash_nothing(seed):
    rng = random.Random(seed)
    if rng.random() < 0.3:
        data = bytearray(TINY.read_bytes())
    else:
        net, y = random_network(np.random.default_rng(seed))
        data = bytearray(net.file(y))
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 4, 127, 128, 255, rng.randrange(256)))
    with contextlib.suppress(GraphError):
        int8.build(tflite.read(bytes(data), "damaged"))
