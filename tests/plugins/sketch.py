"""int8 .tflite models drawn operator by operator, for tests that need one of any shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from edgenet import tflite
from edgenet.tflite import Model, Operator, Option, Signature, Subgraph, Tensor

VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "PAD": 2}
VERSIONS |= {"AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2, "MEAN": 2, "SOFTMAX": 2, "TRANSPOSE": 2}
VERSIONS |= {"CONCATENATION": 2, "QUANTIZE": 1, "DEQUANTIZE": 2, "RELU": 2, "RELU6": 2}
TABLES = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions", "ADD": "AddOptions", "PAD": "PadOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "MEAN": "ReducerOptions",
    "SOFTMAX": "SoftmaxOptions", "TRANSPOSE": "TransposeOptions", "RESHAPE": "ReshapeOptions",
    "CONCATENATION": "ConcatenationOptions", "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
}  # fmt: skip


class Sketch:
    """Adds tensors and operators; each call gives the number of the tensor that it made.

    Args:
        name: of the model.
    """

    def __init__(self, name: str = "sketch") -> None:
        self.name = name
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []

    def tensor(
        self,
        shape: Sequence[int],
        *,
        scale: float | Sequence[float] = (),
        zero_point: int | Sequence[int] = 0,
        dtype: str = "int8",
        data: np.ndarray | None = None,
        axis: int | None = None,
    ) -> int:
        scales = (scale,) if isinstance(scale, float) else tuple(scale)
        points = (zero_point,) * len(scales) if isinstance(zero_point, int) else tuple(zero_point)
        index = len(self.tensors)
        self.tensors.append(
            Tensor(
                index=index,
                name=f"t{index}",
                shape=tuple(int(size) for size in shape),
                shape_signature=(),
                dtype=dtype,
                scale=tuple(float(np.float32(s)) for s in scales),
                zero_point=points,
                axis=axis if len(scales) > 1 else None,
                data=data,
                variable=False,
                sparse=False,
            )
        )
        return index

    def constant(self, values: np.ndarray, **quantization: object) -> int:
        return self.tensor(values.shape, dtype=values.dtype.name, data=values, **quantization)

    def operator(self, name: str, inputs: Sequence[int], output: int, **options: Option) -> int:
        self.operators.append(
            Operator(
                index=len(self.operators),
                name=name,
                custom=False,
                version=VERSIONS.get(name, 1),
                inputs=tuple(inputs),
                outputs=(output,),
                options_table=TABLES.get(name, ""),
                options=MappingProxyType(dict(options)),
                custom_options=b"",
            )
        )
        return output

    def weighted(
        self,
        name: str,
        x: int,
        weight: np.ndarray,
        bias: np.ndarray | None,
        output: int,
        *,
        weight_scale: Sequence[float],
        weight_zero_point: int = 0,
        **options: Option,
    ) -> int:
        """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED; one scale or one a channel."""
        axis = 3 if name == "DEPTHWISE_CONV_2D" else 0
        kernel = {"scale": weight_scale, "zero_point": weight_zero_point, "axis": axis}
        inputs = [x, self.constant(weight, **kernel)]
        if bias is not None:
            scales = [self.tensors[x].scale[0] * s for s in weight_scale]
            inputs.append(self.constant(bias, scale=scales, axis=0))
        return self.operator(name, inputs, output, **options)

    def model(self, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
        graph = Subgraph(
            name="main",
            tensors=tuple(self.tensors),
            operators=tuple(self.operators),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
        )
        signature = Signature(
            name="serving_default",
            subgraph=0,
            inputs={f"in{i}": t for i, t in enumerate(inputs)},
            outputs={f"out{i}": t for i, t in enumerate(outputs)},
        )
        return model_of([graph], signatures=[signature], name=self.name)


def model_of(
    subgraphs: Sequence[Subgraph],
    *,
    signatures: Sequence[Signature] = (),
    metadata: Mapping[str, bytes] | None = None,
    name: str = "sketch",
) -> Model:
    return Model(
        name=name,
        version=3,
        description="drawn for a test",
        subgraphs=tuple(subgraphs),
        signatures=tuple(signatures),
        metadata=metadata or {},
    )


def file_of(model: Model) -> bytes:
    return tflite.write(model)
