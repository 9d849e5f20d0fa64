"""The networks of MLPerf Tiny and TensorFlow Lite Micro as int8 .tflite, with drawn weights.

Shapes are the published ones; weights are random, and the scale of each layer is that of the values
which it takes on pictures of noise, so that codes spread as those of trained networks do.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from sketch import Sketch

from edgenet import int8, tflite
from edgenet.int8 import kernels
from edgenet.int8.graph import Layer

_WINDOW = {"dilation_h_factor": 1, "dilation_w_factor": 1}


class Growing:
    """Adds layers behind an input of (1, H, W, C), int8 pixels less 128.

    Args:
        shape: of the input.
        seed: of weights and of the pictures that scales come from.
    """

    def __init__(self, shape: tuple[int, int, int], seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._sketch = Sketch("benchmark")
        self.input = self._sketch.tensor((1, *shape), scale=1 / 255, zero_point=-128)
        pictures = self._rng.integers(-128, 128, (4, 1, *shape)).astype(np.int8)
        self._codes = {self.input: pictures}

    def conv(
        self, x: int, count: int, kernel: tuple[int, int] = (1, 1), stride: int = 1,
        activation: str = "RELU",
    ) -> int:  # fmt: skip
        """A convolution with SAME padding."""
        weight = self._drawn((count, *kernel, self._shape(x)[-1]), axis=0)
        shape = (*self._strided(x, stride), count)
        options = self._options(stride, activation)
        return self._weighted("CONV_2D", x, weight, 0, shape, **options)

    def depthwise(self, x: int, stride: int = 1, multiplier: int = 1) -> int:
        """A 3x3 depthwise convolution with ReLU and SAME padding."""
        count = self._shape(x)[-1] * multiplier
        weight = self._drawn((1, 3, 3, count), axis=3)
        shape = (*self._strided(x, stride), count)
        options = self._options(stride, "RELU")
        return self._weighted(
            "DEPTHWISE_CONV_2D", x, weight, 3, shape, depth_multiplier=multiplier, **options
        )

    def separable(self, x: int, count: int, stride: int = 1) -> int:
        return self.conv(self.depthwise(x, stride), count)

    def add(self, x: int, other: int) -> int:
        """The sum, with ReLU."""
        real = np.maximum(self._real(x) + self._real(other), 0)
        y = self._sketch.tensor(self._shape(x), scale=float(real.max() / 255), zero_point=-128)
        self._sketch.operator("ADD", [x, other], y, fused_activation_function="RELU")
        return self._computed(y)

    def pool(self, x: int) -> int:
        """AVERAGE_POOL_2D of the whole map."""
        _, rows, columns, count = self._shape(x)
        y = self._like(x, (1, 1, 1, count))
        self._sketch.operator(
            "AVERAGE_POOL_2D", [x], y, padding="VALID", stride_h=1, stride_w=1,
            filter_height=rows, filter_width=columns, fused_activation_function="NONE",
        )  # fmt: skip
        return self._computed(y)

    def flat(self, x: int) -> int:
        size = int(np.prod(self._shape(x)))
        shape = self._sketch.constant(np.array([1, size], np.int32))
        y = self._like(x, (1, size))
        self._sketch.operator("RESHAPE", [x, shape], y, new_shape=(1, size))
        return self._computed(y)

    def fully_connected(self, x: int, count: int) -> int:
        weight = self._drawn((count, self._shape(x)[-1]), axis=0)
        return self._weighted(
            "FULLY_CONNECTED", x, weight, 0, (1, count), weights_format="DEFAULT",
            keep_num_dims=False, fused_activation_function="NONE",
        )  # fmt: skip

    def file(self, x: int, *, softmax: bool = True) -> bytes:
        """The .tflite, with a SOFTMAX of x at its end or with x itself."""
        if not softmax:
            return tflite.write(self._sketch.model([self.input], [x]))
        y = self._sketch.tensor(self._shape(x), scale=1 / 256, zero_point=-128)
        self._sketch.operator("SOFTMAX", [x], y, beta=1.0)
        return tflite.write(self._sketch.model([self.input], [y]))

    def _shape(self, x: int) -> tuple[int, ...]:
        return self._sketch.tensors[x].shape

    def _strided(self, x: int, stride: int) -> tuple[int, int, int]:
        _, rows, columns, _ = self._shape(x)
        return 1, -(-rows // stride), -(-columns // stride)

    def _options(self, stride: int, activation: str) -> dict[str, object]:
        same = {"padding": "SAME", "stride_h": stride, "stride_w": stride}
        return {**same, **_WINDOW, "fused_activation_function": activation}

    def _like(self, x: int, shape: tuple[int, ...]) -> int:
        tensor = self._sketch.tensors[x]
        return self._sketch.tensor(shape, scale=tensor.scale, zero_point=tensor.zero_point)

    def _drawn(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        """He's weights, of the size that a trained network's have: spread differs by channel."""
        weight = self._rng.normal(0, 1, shape)
        spread = self._rng.uniform(0.5, 1.5, shape[axis])
        spread = np.expand_dims(spread, [i for i in range(len(shape)) if i != axis])
        return weight * spread * (2 * shape[axis] / weight.size) ** 0.5

    def _weighted(
        self, name: str, x: int, weight: np.ndarray, axis: int, shape: tuple[int, ...],
        **options: object,
    ) -> int:  # fmt: skip
        others = tuple(i for i in range(weight.ndim) if i != axis)
        scale = np.float32(np.abs(weight).max(others) / 127)
        codes = np.rint(weight / np.expand_dims(scale, others)).astype(np.int8)
        step = self._sketch.tensors[x].scale[0] * scale.astype(np.float64)
        bias = np.rint(self._rng.normal(0, 0.1, len(scale)) / step).astype(np.int32)
        y = self._sketch.tensor(shape, scale=1.0, zero_point=0)
        self._sketch.weighted(name, x, codes, bias, y, weight_scale=scale.tolist(), **options)
        real = kernels.sums(self._last(), self._codes[x]) * step
        positive = options["fused_activation_function"] != "NONE"
        low, high = (0.0 if positive else min(0.0, float(real.min()))), float(real.max())
        scale_out = (high - low) / 255
        self._sketch.tensors[y] = dataclasses.replace(
            self._sketch.tensors[y],
            scale=(float(np.float32(scale_out)),),
            zero_point=(round(-128 - low / scale_out),),
        )
        return self._computed(y)

    def _real(self, x: int) -> np.ndarray:
        tensor = self._sketch.tensors[x]
        return (self._codes[x].astype(float) - tensor.zero_point[0]) * tensor.scale[0]

    def _last(self) -> Layer:
        """The last operator as a layer; all others are left out of the graph."""
        operator = self._sketch.operators[-1]
        made = [i for i in operator.inputs if self._sketch.tensors[i].data is None]
        model = self._sketch.model(made, operator.outputs)
        alone = dataclasses.replace(
            model.subgraphs[0], operators=(dataclasses.replace(operator, index=0),)
        )
        (layer,) = int8.build(dataclasses.replace(model, subgraphs=(alone,))).layers
        return layer

    def _computed(self, y: int) -> int:
        layer = self._last()
        given = [self._codes[index] for index in layer.inputs]
        self._codes[y] = kernels.run(layer, given, self._shape(y))
        return y


def resnet8(*, softmax: bool = True) -> bytes:
    """MLPerf Tiny's image classification: 32x32x3, 12,501,632 multiplications."""
    net = Growing((32, 32, 3))
    x = net.conv(net.input, 16, (3, 3))
    for count, stride in ((16, 1), (32, 2), (64, 2)):
        y = net.conv(x, count, (3, 3), stride)
        y = net.conv(y, count, (3, 3), activation="NONE")
        x = net.conv(x, count, stride=stride, activation="NONE") if stride > 1 else x
        x = net.add(x, y)
    return net.file(net.fully_connected(net.flat(net.pool(x)), 10), softmax=softmax)


def ds_cnn() -> bytes:
    """MLPerf Tiny's keyword spotting: 49x10x1, 2,656,768 multiplications."""
    net = Growing((49, 10, 1))
    x = net.conv(net.input, 64, (10, 4), stride=2)
    for _ in range(4):
        x = net.separable(x, 64)
    return net.file(net.fully_connected(net.flat(net.pool(x)), 12))


def person_detect() -> bytes:
    """TensorFlow Lite Micro's: 96x96x1, the first operator depthwise, 7,157,888 multiplications."""
    net = Growing((96, 96, 1))
    x = net.separable(net.depthwise(net.input, stride=2, multiplier=8), 16)
    for count, stride in ((32, 2), (32, 1), (64, 2), (64, 1), (128, 2)):
        x = net.separable(x, count, stride)
    for count, stride in (*[(128, 1)] * 5, (256, 2), (256, 1)):
        x = net.separable(x, count, stride)
    return net.file(net.flat(net.conv(net.pool(x), 2, activation="NONE")))


def mobilenet(architecture: str, alpha: float, side: int, classes: int) -> bytes:
    """An untrained MobileNet, exported as any other; needs the host extra."""
    import torch

    from edgenet.host import export
    from edgenet.host.models import build
    from edgenet.host.quantize import Calibrator, example_input
    from edgenet.spec import ModelSpec, Preprocess

    labels = tuple(f"class {index}" for index in range(classes))
    spec = ModelSpec(architecture, alpha, labels, Preprocess(side, side))
    torch.manual_seed(0)
    untrained = build(spec).eval()
    calibrator = Calibrator(untrained, spec)
    calibrator.observe([torch.rand_like(example_input(spec)) for _ in range(4)])
    return export.convert(untrained, calibrator, spec, ("int8.tflite",))["int8.tflite"]


def _mobilenet(*arguments: object) -> Callable[[], bytes]:
    return functools.partial(mobilenet, *arguments)


NETWORKS: dict[str, Callable[[], bytes]] = {
    "resnet8": resnet8,
    "ds_cnn": ds_cnn,
    "person_detect": person_detect,
    "mobilenet_v1_025_96": _mobilenet("mobilenet_v1", 0.25, 96, 2),
    "mobilenet_v1_cifar_100_32": _mobilenet("mobilenet_v1_cifar", 1.0, 32, 10),
    "mobilenet_v1_100_224": _mobilenet("mobilenet_v1", 1.0, 224, 1000),
}
MACS = {
    "resnet8": 12_501_632,
    "ds_cnn": 2_656_768,
    "person_detect": 7_157_888,
    "mobilenet_v1_025_96": 7_489_664,
    "mobilenet_v1_cifar_100_32": 46_354_432,
}
