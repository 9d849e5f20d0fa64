"""Random int8 networks with dead channels: constant ones, unread ones, and those that seem so."""

from __future__ import annotations

import numpy as np
from sketch import Sketch

from edgenet import tflite


class Network:
    """Grows from an input of (1, size, size, channels).

    Args:
        rng: what all is drawn from.
        size: rows and columns of the input.
        channels: of the input.
        dtype: int8 or uint8.
    """

    def __init__(
        self, rng: np.random.Generator, *, size: int = 8, channels: int = 3, dtype: str = "int8"
    ) -> None:
        self.rng = rng
        self.dtype = dtype
        self.offset = 128 if dtype == "uint8" else 0
        self.sketch = Sketch("network")
        self.input = self._value((1, size, size, channels), zero_point=int(rng.integers(-128, 128)))

    def _value(self, shape, *, zero_point=-128, scale=None) -> int:
        scale = float(np.float32(self.rng.uniform(0.01, 0.05))) if scale is None else scale
        return self.sketch.tensor(
            shape, scale=scale, zero_point=zero_point + self.offset, dtype=self.dtype
        )

    def shape(self, x: int) -> tuple[int, ...]:
        return self.sketch.tensors[x].shape

    def _like(self, x: int, shape: tuple[int, ...]) -> int:
        tensor = self.sketch.tensors[x]
        return self._value(
            shape, scale=tensor.scale[0], zero_point=tensor.zero_point[0] - self.offset
        )

    def _quantized(self, x: int, weight: np.ndarray, axis: int, *, dead: bool):
        """Scales, bias and output scale; some channels are dead, by weights or by bias."""
        count = weight.shape[axis]
        terms = weight.size // count
        spread = self.rng.uniform(0.002, 0.02, 1 if self.dtype == "uint8" else count)
        scale = self.sketch.tensors[x].scale[0]
        reach = 60 * 127 * terms**0.5
        bias = self.rng.integers(-int(reach), int(reach), count)
        if dead:
            moved = np.moveaxis(weight, axis, 0)
            moved[self.rng.random(count) < 0.25] = 0
            bias[self.rng.random(count) < 0.25] = -(2**24)
            # on the edge of being dead: alive for the most unlikely of inputs, or for none
            edge = self.rng.random(count) < 0.2
            most = np.abs(moved.astype(int)).reshape(count, -1).sum(1) * 255
            bias[edge] = (self.rng.integers(0, 3000, count) - most)[edge]
        result = float(np.float32(scale * spread.mean() * reach / 60))
        return [float(np.float32(s)) for s in spread], bias.astype(np.int32), result

    def _weighted(self, name, x, weight, axis, shape, *, dead, **options) -> int:
        spread, bias, scale = self._quantized(x, weight, axis, dead=dead)
        zero_point = -128 if self.rng.random() < 0.7 else int(self.rng.integers(-128, 128))
        y = self._value(shape, zero_point=zero_point, scale=scale)
        activation = self.rng.choice(["NONE", "RELU", "RELU6"])
        stored = (weight.astype(int) + self.offset).astype(self.dtype)
        return self.sketch.weighted(
            name, x, stored, bias, y, weight_scale=spread, weight_zero_point=self.offset,
            fused_activation_function=str(activation), **options,
        )  # fmt: skip

    def _window(
        self, x: int, kernel: int, stride: int
    ) -> tuple[tuple[int, int], dict[str, object]]:
        _, rows, columns, _ = self.shape(x)
        same = self.rng.random() < 0.7 or min(rows, columns) < kernel
        sizes = [-(-s // stride) if same else (s - kernel) // stride + 1 for s in (rows, columns)]
        options = {
            "padding": "SAME" if same else "VALID", "stride_h": stride, "stride_w": stride,
            "dilation_h_factor": 1, "dilation_w_factor": 1,
        }  # fmt: skip
        return (sizes[0], sizes[1]), options

    def _weights(self, *shape: int) -> np.ndarray:
        weight = self.rng.integers(-127, 128, shape).astype(np.int8)
        unread = self.rng.random(shape[-1]) < 0.2
        weight[..., unread] = 0
        return weight

    def conv(self, x: int, count: int, *, kernel: int = 1, stride: int = 1) -> int:
        sizes, options = self._window(x, kernel, stride)
        weight = self._weights(count, kernel, kernel, self.shape(x)[-1])
        return self._weighted("CONV_2D", x, weight, 0, (1, *sizes, count), dead=True, **options)

    def depthwise(self, x: int, *, kernel: int = 3, stride: int = 1, multiplier: int = 1) -> int:
        sizes, options = self._window(x, kernel, stride)
        count = self.shape(x)[-1] * multiplier
        weight = self.rng.integers(-127, 128, (1, kernel, kernel, count)).astype(np.int8)
        return self._weighted(
            "DEPTHWISE_CONV_2D", x, weight, 3, (1, *sizes, count), dead=True,
            depth_multiplier=multiplier, **options,
        )  # fmt: skip

    def fully_connected(self, x: int, count: int, *, dead: bool = True) -> int:
        weight = self._weights(count, int(np.prod(self.shape(x))))
        return self._weighted(
            "FULLY_CONNECTED", x, weight, 0, (1, count), dead=dead,
            weights_format="DEFAULT", keep_num_dims=False,
        )  # fmt: skip

    def add(self, x: int, other: int) -> int:
        y = self._value(self.shape(x), zero_point=int(self.rng.integers(-128, 128)))
        return self.sketch.operator("ADD", [x, other], y, fused_activation_function="NONE")

    def pool(self, x: int, name: str) -> int:
        sizes, options = self._window(x, 2, 2)
        y = self._like(x, (1, *sizes, self.shape(x)[-1]))
        options = {key: value for key, value in options.items() if "dilation" not in key}
        return self.sketch.operator(
            name, [x], y, filter_height=2, filter_width=2, fused_activation_function="NONE",
            **options,
        )  # fmt: skip

    def pad(self, x: int) -> int:
        amounts = self.rng.integers(0, 3, 4)
        _, rows, columns, count = self.shape(x)
        shape = 1, rows + int(amounts[:2].sum()), columns + int(amounts[2:].sum()), count
        table = np.array([[0, 0], amounts[:2], amounts[2:], [0, 0]], np.int32)
        return self.sketch.operator("PAD", [x, self.sketch.constant(table)], self._like(x, shape))

    def concatenation(self, *inputs: int) -> int:
        """Of values that share a scale, as converters make them: by QUANTIZE where need be."""
        first, *others = inputs
        rescaled = [first]
        for other in others:
            y = self._like(first, self.shape(other))
            rescaled.append(self.sketch.operator("QUANTIZE", [other], y))
        count = sum(self.shape(x)[-1] for x in inputs)
        y = self._like(first, (*self.shape(first)[:-1], count))
        return self.sketch.operator(
            "CONCATENATION", rescaled, y, axis=len(self.shape(y)) - 1,
            fused_activation_function="NONE",
        )  # fmt: skip

    def relu6(self, x: int) -> int:
        return self.sketch.operator("RELU6", [x], self._like(x, self.shape(x)))

    def mean(self, x: int, *, keep: bool = False) -> int:
        count = self.shape(x)[-1]
        y = self._value((1, 1, 1, count) if keep else (1, count))
        axes = self.sketch.constant(np.array([1, 2], np.int32))
        return self.sketch.operator("MEAN", [x, axes], y, keep_dims=keep)

    def transposed_mean(self, x: int) -> int:
        """As converters of PyTorch write a global pool: to NCHW first."""
        _, rows, columns, count = self.shape(x)
        turned = self._like(x, (1, count, rows, columns))
        order = self.sketch.constant(np.array([0, 3, 1, 2], np.int32))
        self.sketch.operator("TRANSPOSE", [x, order], turned)
        y = self._value((1, count))
        axes = self.sketch.constant(np.array([2, 3], np.int32))
        return self.sketch.operator("MEAN", [turned, axes], y, keep_dims=False)

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        size = int(np.prod(self.shape(x)))
        actual = tuple(size // -int(np.prod(shape)) if s == -1 else s for s in shape)
        tensor = self.sketch.constant(np.array(shape, np.int32))
        y = self._like(x, actual)
        return self.sketch.operator("RESHAPE", [x, tensor], y, new_shape=shape)

    def softmax(self, x: int) -> int:
        y = self._value(self.shape(x), scale=1 / 256)
        return self.sketch.operator("SOFTMAX", [x], y, beta=1.0)

    def file(self, *outputs: int) -> bytes:
        return tflite.write(self.sketch.model([self.input], outputs))

    def pictures(self, count: int) -> np.ndarray:
        """Random codes, and the extremes."""
        shape = (count, *self.shape(self.input)[1:])
        codes = self.rng.integers(-128, 128, shape)
        codes[0], codes[1] = -128, 127
        codes[2] = self.rng.choice([-128, 127], shape[1:])
        return (codes + self.offset).astype(self.dtype)


def random_network(rng: np.random.Generator, *, dtype: str = "int8") -> tuple[Network, int]:
    """A stem, some blocks of random kinds, and a head."""
    network = Network(rng, size=int(rng.integers(5, 10)), dtype=dtype)
    x = network.conv(
        network.input, int(rng.integers(2, 9)), kernel=3, stride=int(rng.integers(1, 3))
    )
    for _ in range(int(rng.integers(1, 5))):
        x = _block(network, x, rng)
    head = rng.integers(4)
    if head == 0:
        x = network.mean(x, keep=bool(rng.integers(2)))
    elif head == 1:
        x = network.transposed_mean(x)
    elif head == 2:
        x = network.reshape(x, (1, -1))
    x = network.fully_connected(x, 6)
    x = network.fully_connected(x, 4, dead=False)
    return network, network.softmax(x) if rng.integers(2) and dtype == "int8" else x


def _block(network: Network, x: int, rng: np.random.Generator) -> int:
    kind = rng.integers(9)
    count = int(rng.integers(2, 9))
    if kind == 0:
        return network.conv(network.depthwise(x, stride=int(rng.integers(1, 3))), count)
    if kind == 1:
        y = network.conv(network.conv(x, count, kernel=1), network.shape(x)[-1])
        return network.add(x, y)
    if kind == 2:
        return network.conv(network.concatenation(x, network.conv(x, count)), count)
    if kind == 3:
        return network.conv(network.depthwise(x, multiplier=2), count)
    if kind == 4:
        return network.conv(
            network.pool(x, str(rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))), count
        )
    if kind == 5:
        return network.conv(network.pad(x), count, kernel=int(rng.integers(1, 4)))
    if kind == 7:
        flat = network.fully_connected(x, 4 * count)
        return network.conv(network.reshape(flat, (1, 2, 2, count)), count)
    if kind == 6:
        return network.conv(network.relu6(x), count, kernel=3)
    return network.depthwise(network.pad(x), kernel=3)


def everything() -> bytes:
    """A network with every operator that the random ones draw from."""
    drawn = Network(np.random.default_rng(1), size=12)
    x = drawn.conv(drawn.input, 8, kernel=3, stride=2)
    x = drawn.add(x, drawn.conv(x, 8))
    x = drawn.conv(drawn.concatenation(x, drawn.relu6(drawn.conv(x, 5))), 6)
    x = drawn.conv(drawn.pool(x, "MAX_POOL_2D"), 8)
    x = drawn.pool(drawn.conv(drawn.pad(x), 6, kernel=2), "AVERAGE_POOL_2D")
    x = drawn.depthwise(x, multiplier=2)
    return drawn.file(drawn.softmax(drawn.fully_connected(drawn.transposed_mean(x), 4, dead=False)))
