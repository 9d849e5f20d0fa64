"""Every operator against the engines whose arithmetic it has, on models of random shapes."""

from __future__ import annotations

import engines
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sketch import Sketch

from edgenet import int8, tflite
from edgenet.int8 import kernels

pytest.importorskip("flatbuffers")

scales = st.floats(2**-9, 2**-2).map(lambda s: float(np.float32(s)))
points = st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
paddings = st.sampled_from(["SAME", "VALID"])
sizes = st.integers(1, 9)
channels = st.integers(1, 7)
few = settings(max_examples=30)


def codes(rng, shape, dtype="int8"):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def shape_of_window(size, kernel, stride, padding):
    return -(-size // stride) if padding == "SAME" else (size - kernel) // stride + 1


def same_everywhere(sketch, inputs, output, *, seed=0, dtype="int8", theirs=(engines.micro,)):
    """Every tensor that was computed, equal to that of each engine."""
    rng = np.random.default_rng(seed)
    data = tflite.write(sketch.model(inputs, [output]))
    given_ = [codes(rng, sketch.tensors[index].shape, dtype) for index in inputs]
    ours = engines.reference(data, given_)
    for engine in theirs:
        found = engine(data, given_)
        for operator in sketch.operators:
            index = operator.outputs[0]
            np.testing.assert_array_equal(ours(index), found(index), err_msg=engine.__name__)
    return ours(output)


BOTH = (engines.micro, engines.litert)


class Drawn:
    """What a convolution or a linear layer is drawn from."""

    def __init__(self, draw, dtype="int8"):
        self.rng = np.random.default_rng(draw(seeds))
        self.dtype = dtype
        self.offset = 128 if dtype == "uint8" else 0
        self.source = draw(scales), draw(points) + self.offset
        self.zero_point = draw(points) + self.offset
        self.activation = draw(activations)
        self.bias = dtype == "uint8" or draw(st.booleans())
        self.draw = draw

    def weights(self, shape, axis):
        """Weights, their scales, the bias, and an output scale that fits the sums."""
        count = shape[axis]
        one = self.dtype == "uint8" or self.draw(st.booleans())
        spread = self.rng.uniform(0.001, 0.05, 1 if one else count).astype(np.float32)
        limit = self.draw(st.sampled_from([3, 30, 127]))
        weight = self.rng.integers(-limit, limit + 1, shape)
        terms = weight.size / count
        sums = 100 * limit * terms**0.5
        bias = self.rng.integers(-int(sums), int(sums) + 1, count).astype(np.int32)
        scale = float(self.source[0] * spread.mean() * sums / self.draw(st.sampled_from([20, 100])))
        weight_point = 0
        if self.dtype == "uint8":
            weight_point = self.draw(st.integers(100, 156))
            weight = np.clip(weight + weight_point, 0, 255)
        return (
            weight.astype(self.dtype),
            [float(s) for s in spread],
            weight_point,
            bias if self.bias else None,
            float(np.float32(scale)),
        )


def add_weighted(sketch, name, x, drawn, shape, axis, result, **options):
    weight, spread, weight_point, bias, scale = drawn.weights(shape, axis)
    y = sketch.tensor(result, scale=scale, zero_point=drawn.zero_point, dtype=drawn.dtype)
    return sketch.weighted(
        name, x, weight, bias, y, weight_scale=spread, weight_zero_point=weight_point,
        fused_activation_function=drawn.activation, **options,
    )  # fmt: skip


def conv_model(draw, name, dtype="int8"):
    drawn = Drawn(draw, dtype)
    height, width, depth = draw(sizes), draw(sizes), draw(channels)
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride_h, stride_w = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(paddings)
    assume(padding == "SAME" or (height >= rows and width >= columns))
    sketch = Sketch()
    scale, zero_point = drawn.source
    x = sketch.tensor((1, height, width, depth), scale=scale, zero_point=zero_point, dtype=dtype)
    options = {
        "padding": padding, "stride_h": stride_h, "stride_w": stride_w,
        "dilation_h_factor": 1, "dilation_w_factor": 1,
    }  # fmt: skip
    if name == "CONV_2D":
        count = draw(channels)
        shape, axis = (count, rows, columns, depth), 0
    else:
        multiplier = draw(st.integers(1, 3))
        count = depth * multiplier
        shape, axis = (1, rows, columns, count), 3
        options["depth_multiplier"] = multiplier
    result = (
        1,
        shape_of_window(height, rows, stride_h, padding),
        shape_of_window(width, columns, stride_w, padding),
        count,
    )
    y = add_weighted(sketch, name, x, drawn, shape, axis, result, **options)
    return sketch, x, y


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_convolutions(name, data, seed):
    sketch, x, y = conv_model(data.draw, name)
    biased = len(sketch.operators[0].inputs) == 3  # LiteRT takes no others
    same_everywhere(sketch, [x], y, seed=seed, theirs=BOTH if biased else (engines.micro,))


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_uint8_convolutions_are_int8_ones_with_codes_128_less(name, data, seed):
    """TensorFlow Lite Micro has none; LiteRT's reference kernels do."""
    sketch, x, y = conv_model(data.draw, name, "uint8")
    same_everywhere(sketch, [x], y, seed=seed, dtype="uint8", theirs=(engines.litert,))


def fully_connected_model(draw, dtype="int8"):
    drawn = Drawn(draw, dtype)
    count, terms = draw(channels), draw(st.integers(1, 300))
    sketch = Sketch()
    scale, zero_point = drawn.source
    x = sketch.tensor((1, terms), scale=scale, zero_point=zero_point, dtype=dtype)
    y = add_weighted(
        sketch, "FULLY_CONNECTED", x, drawn, (count, terms), 0, (1, count),
        weights_format="DEFAULT", keep_num_dims=False,
    )  # fmt: skip
    return sketch, x, y


@few
@given(st.data(), seeds)
def test_fully_connected(data, seed):
    """Against TensorFlow Lite Micro alone: LiteRT rounds once, in floating point."""
    sketch, x, y = fully_connected_model(data.draw)
    same_everywhere(sketch, [x], y, seed=seed)


def edges(factor, count):
    """Sums that lie so close to the middle between two codes that the factor's last bits matter."""
    middles = (np.arange(-100, 100)[:, np.newaxis] + 0.5) / factor
    around = np.rint(middles) + np.linspace(-40, 40, count // 200)
    return around.ravel().astype(np.int32)


@pytest.mark.parametrize("name", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("kind", ["per tensor", "per channel", "uint8"])
@pytest.mark.parametrize("seed", range(3))
def test_factors_have_every_bit(name, kind, seed):
    """Scales are multiplied in float64, but for uint8 convolutions, where it is float32."""
    rng = np.random.default_rng(seed)
    dtype, zero = ("uint8", 128) if kind == "uint8" else ("int8", 0)
    scale, spread = (float(s) for s in rng.uniform(0.001, 0.01, 2).astype(np.float32))
    result_scale = float(np.float32(scale * spread * 2**21 * rng.uniform(0.5, 1)))
    bias = edges(np.float64(np.float32(scale)) * spread / np.float32(result_scale), 8000)
    flat, window = {"weights_format": "DEFAULT", "keep_num_dims": False}, {
        "padding": "VALID", "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1,
        "dilation_w_factor": 1,
    }  # fmt: skip
    source, result, shape, options = {
        "FULLY_CONNECTED": ((1, 1), (1, len(bias)), (len(bias), 1), flat),
        "CONV_2D": ((1, 1, 1, 1), (1, 1, 1, len(bias)), (len(bias), 1, 1, 1), window),
        "DEPTHWISE_CONV_2D": (
            (1, 1, 1, 1), (1, 1, 1, len(bias)), (1, 1, 1, len(bias)),
            window | {"depth_multiplier": len(bias)},
        ),
    }[name]  # fmt: skip
    sketch = Sketch()
    x = sketch.tensor(source, scale=scale, zero_point=zero, dtype=dtype)
    y = sketch.tensor(result, scale=result_scale, zero_point=zero, dtype=dtype)
    sketch.weighted(
        name, x, np.full(shape, zero).astype(dtype), bias, y,
        weight_scale=[spread] * (len(bias) if kind == "per channel" else 1),
        weight_zero_point=zero, fused_activation_function="NONE", **options,
    )  # fmt: skip
    engine = engines.litert if kind == "uint8" else engines.micro
    found = same_everywhere(sketch, [x], y, dtype=dtype, theirs=(engine,))
    assert np.ptp(found.astype(int)) > 150


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_litert_rounds_the_same_sums_of_fully_connected_once(dtype, data, seed):
    """In double precision, where TensorFlow Lite Micro rounds twice, in integers."""
    sketch, x, y = fully_connected_model(data.draw, dtype)
    file = tflite.write(sketch.model([x], [y]))
    inputs = [codes(np.random.default_rng(seed), sketch.tensors[x].shape, dtype)]
    (layer,) = int8.build(tflite.read(file, "sketch")).layers
    offset = 128 if dtype == "uint8" else 0
    exact = kernels.sums(layer, (inputs[0].astype(int) - offset).astype(np.int8))
    source, weight, result = (
        sketch.tensors[index] for index in (x, sketch.operators[0].inputs[1], y)
    )
    real = exact * (np.float64(source.scale[0]) * np.array(weight.scale) / result.scale[0])
    once = np.copysign(np.floor(np.abs(real) + 0.5), real) + layer.out.zero_point
    expected = np.clip(once, layer.out.low, layer.out.high) + offset
    found = engines.litert(file, inputs)(y)
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


def test_sums_beyond_float32_are_exact():
    rng = np.random.default_rng(0)
    sketch = Sketch()
    x = sketch.tensor((1, 4096), scale=0.5, zero_point=-128)
    y = sketch.tensor((1, 8), scale=2.0**20, zero_point=0)
    weight = rng.choice([-127, 127], (8, 4096)).astype(np.int8)
    weight[:, :3900] = 127
    sketch.weighted(
        "FULLY_CONNECTED", x, weight, None, y, weight_scale=[1.0], keep_num_dims=False,
        weights_format="DEFAULT", fused_activation_function="NONE",
    )  # fmt: skip
    (layer,) = int8.build(sketch.model([x], [y])).layers
    given_ = rng.choice([125, 126, 127], (1, 4096)).astype(np.int8)
    expected = (given_.astype(np.int64) + 128) @ weight.T.astype(np.int64)
    assert expected.max() > 2**26
    np.testing.assert_array_equal(kernels.sums(layer, given_)[0], expected)


def pool_model(draw, name, dtype="int8"):
    height, width, depth = draw(sizes), draw(sizes), draw(channels)
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride_h, stride_w = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = draw(paddings)
    assume(padding == "SAME" or (height >= rows and width >= columns))
    quantization = {"scale": draw(scales), "zero_point": draw(points), "dtype": dtype}
    quantization["zero_point"] += 128 if dtype == "uint8" else 0
    sketch = Sketch()
    x = sketch.tensor((1, height, width, depth), **quantization)
    result = (
        1,
        shape_of_window(height, rows, stride_h, padding),
        shape_of_window(width, columns, stride_w, padding),
        depth,
    )
    y = sketch.tensor(result, **quantization)
    sketch.operator(
        name, [x], y, padding=padding, stride_h=stride_h, stride_w=stride_w, filter_height=rows,
        filter_width=columns, fused_activation_function=draw(activations),
    )  # fmt: skip
    return sketch, x, y


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_pools(name, data, seed):
    sketch, x, y = pool_model(data.draw, name)
    same_everywhere(sketch, [x], y, seed=seed, theirs=BOTH)


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_uint8_pools_are_int8_ones_that_round_as_if_they_were_not(name, data, seed):
    sketch, x, y = pool_model(data.draw, name, "uint8")
    same_everywhere(sketch, [x], y, seed=seed, dtype="uint8", theirs=(engines.litert,))


def mean_model(draw, *, dtype="int8"):
    offset = 128 if dtype == "uint8" else 0
    height, width, depth = draw(sizes), draw(sizes), draw(channels)
    keep = draw(st.booleans())
    first, second = (draw(scales), draw(points)), (draw(scales), draw(points))
    if draw(st.booleans()):
        second = first
    sketch = Sketch()
    x = sketch.tensor((1, height, width, depth), scale=first[0], zero_point=first[1] + offset,
                      dtype=dtype)  # fmt: skip
    axes = sketch.constant(np.array([1, 2], np.int32))
    result = (1, 1, 1, depth) if keep else (1, depth)
    y = sketch.tensor(result, scale=second[0], zero_point=second[1] + offset, dtype=dtype)
    sketch.operator("MEAN", [x, axes], y, keep_dims=keep)
    return sketch, x, y


@few
@given(st.data(), seeds)
def test_mean(data, seed):
    sketch, x, y = mean_model(data.draw)
    same_everywhere(sketch, [x], y, seed=seed, theirs=BOTH)


@few
@given(st.data(), seeds)
def test_uint8_mean(data, seed):
    sketch, x, y = mean_model(data.draw, dtype="uint8")
    same_everywhere(sketch, [x], y, seed=seed, dtype="uint8", theirs=(engines.litert,))


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_add(dtype, data, seed):
    shape = 1, data.draw(sizes), data.draw(sizes), data.draw(channels)
    offset = 128 if dtype == "uint8" else 0
    sketch = Sketch()
    x, other, y = (
        sketch.tensor(
            shape, scale=data.draw(scales), zero_point=data.draw(points) + offset, dtype=dtype
        )
        for _ in range(3)
    )
    sketch.operator("ADD", [x, other], y, fused_activation_function=data.draw(activations))
    theirs = BOTH if dtype == "int8" else (engines.litert,)
    same_everywhere(sketch, [x, other], y, seed=seed, dtype=dtype, theirs=theirs)


@few
@given(st.data(), seeds)
def test_softmax(data, seed):
    shape = 1, 300, data.draw(st.integers(1, 40))
    sketch = Sketch()
    x = sketch.tensor(shape, scale=data.draw(st.floats(2**-8, 64.0)), zero_point=data.draw(points))
    y = sketch.tensor(shape, scale=1 / 256, zero_point=-128)
    sketch.operator("SOFTMAX", [x], y, beta=data.draw(st.sampled_from([1.0, 0.5, 2.0])))
    same_everywhere(sketch, [x], y, seed=seed)


@few
@given(st.data(), seeds)
@pytest.mark.parametrize("name", ["RELU", "QUANTIZE"])
def test_rescaling(name, data, seed):
    shape = 1, data.draw(sizes), data.draw(channels)
    sketch = Sketch()
    x = sketch.tensor(shape, scale=data.draw(scales), zero_point=data.draw(points))
    y = sketch.tensor(shape, scale=data.draw(scales), zero_point=data.draw(points))
    sketch.operator(name, [x], y)
    same_everywhere(sketch, [x], y, seed=seed, theirs=BOTH)


@few
@given(st.data(), seeds)
def test_relu6(data, seed):
    shape = 1, data.draw(sizes), data.draw(channels)
    quantization = {"scale": data.draw(scales), "zero_point": data.draw(points)}
    sketch = Sketch()
    x, y = sketch.tensor(shape, **quantization), sketch.tensor(shape, **quantization)
    sketch.operator("RELU6", [x], y)
    same_everywhere(sketch, [x], y, seed=seed)


@few
@given(st.data(), seeds)
def test_moves_of_codes(data, seed):
    """PAD, TRANSPOSE, CONCATENATION and RESHAPE, one after the other."""
    draw = data.draw
    height, width, depth = draw(sizes), draw(sizes), draw(channels)
    top, bottom, left, right = (draw(st.integers(0, 3)) for _ in range(4))
    quantization = {"scale": draw(scales), "zero_point": draw(points)}
    sketch = Sketch()
    x = sketch.tensor((1, height, width, depth), **quantization)
    rows, columns = height + top + bottom, width + left + right
    padded = sketch.tensor((1, rows, columns, depth), **quantization)
    amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    sketch.operator("PAD", [x, sketch.constant(amounts)], padded)
    order = draw(st.permutations([1, 2, 3]))
    shape = tuple(sketch.tensors[padded].shape[axis] for axis in (0, *order))
    turned = sketch.tensor(shape, **quantization)
    permutation = sketch.constant(np.array([0, *order], np.int32))
    sketch.operator("TRANSPOSE", [padded, permutation], turned)
    axis = draw(st.integers(1, 3))
    doubled = tuple(size * (1 + (i == axis)) for i, size in enumerate(shape))
    joined = sketch.tensor(doubled, **quantization)
    sketch.operator("CONCATENATION", [turned, turned], joined, axis=draw(
        st.sampled_from([axis, axis - 4])), fused_activation_function="NONE")  # fmt: skip
    flat = (1, int(np.prod(doubled)))
    y = sketch.tensor(flat, **quantization)
    sketch.operator(
        "RESHAPE", [joined, sketch.constant(np.array(flat, np.int32))], y, new_shape=flat
    )
    same_everywhere(sketch, [x], y, seed=seed, theirs=BOTH)
