"""Models as others make them: float, int8 or uint8, with softmax and metadata or without."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from sketch import Sketch, model_of

from edgenet import tflite
from edgenet.tflite import Model

flatbuffers = pytest.importorskip("flatbuffers", reason="the host extra writes models")

CLASSES = 5
SIDE = 8


def linear(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights (classes, SIDE * SIDE * 3) and biases that tell pictures apart."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(0, 0.3, (CLASSES, SIDE * SIDE * 3)).astype(np.float32),
        rng.normal(0, 0.1, CLASSES).astype(np.float32),
    )


def float_model(*, softmax: bool = False, planar: bool = False, last: str = "SOFTMAX") -> Model:
    """Flatten, one fully connected layer, and a softmax; the input is of -1 to 1."""
    weights, bias = linear()
    draw = Sketch("float")
    shape = (1, 3, SIDE, SIDE) if planar else (1, SIDE, SIDE, 3)
    x = draw.tensor(shape, dtype="float32")
    if planar:
        order = draw.constant(np.array([0, 2, 3, 1], np.int32))
        at = draw.tensor((1, SIDE, SIDE, 3), dtype="float32")
        x_last = draw.operator("TRANSPOSE", [x, order], at)
    else:
        x_last = x
    size = draw.constant(np.array([1, SIDE * SIDE * 3], np.int32))
    flat = draw.tensor((1, SIDE * SIDE * 3), dtype="float32")
    flat = draw.operator("RESHAPE", [x_last, size], flat, new_shape=(1, SIDE * SIDE * 3))
    y = draw.operator(
        "FULLY_CONNECTED",
        [flat, draw.constant(weights), draw.constant(bias)],
        draw.tensor((1, CLASSES), dtype="float32"),
        fused_activation_function="NONE",
    )
    if softmax:
        options = {"beta": 1.0} if last == "SOFTMAX" else {}
        y = draw.operator(last, [y], draw.tensor((1, CLASSES), dtype="float32"), **options)
    return old_versions(draw.model([x], [y]))


def integer_model(dtype: str, *, softmax: bool = False) -> Model:
    """The same in 8 bits; the input's scale is 1 / 127.5, so that a code is the pixel itself."""
    weights, bias = linear()
    zero = 0 if dtype == "int8" else 128
    takes = {"scale": 1 / 127.5, "zero_point": zero, "dtype": dtype}
    scale = float(np.abs(weights).max() / 127)
    codes = np.rint(weights / scale).astype(int)
    draw = Sketch(dtype)
    x = draw.tensor((1, SIDE, SIDE, 3), **takes)
    size = draw.constant(np.array([1, SIDE * SIDE * 3], np.int32))
    flat = draw.tensor((1, SIDE * SIDE * 3), **takes)
    flat = draw.operator("RESHAPE", [x, size], flat, new_shape=(1, SIDE * SIDE * 3))
    w = draw.constant((codes + zero).astype(dtype), scale=scale, zero_point=zero)
    b = draw.constant(np.rint(bias / (scale / 127.5)).astype(np.int32), scale=scale / 127.5)
    y = draw.operator(
        "FULLY_CONNECTED",
        [flat, w, b],
        draw.tensor((1, CLASSES), scale=0.1, zero_point=zero, dtype=dtype),
        fused_activation_function="NONE",
    )
    if softmax:
        low = -128 if dtype == "int8" else 0
        p = draw.tensor((1, CLASSES), scale=1 / 256, zero_point=low, dtype=dtype)
        y = draw.operator("SOFTMAX", [y], p, beta=1.0)
    return old_versions(draw.model([x], [y]))


def old_versions(model: Model) -> Model:
    """With the versions that operators of uint8 and float have."""
    (graph,) = model.subgraphs
    if any(tensor.dtype == "int8" for tensor in graph.tensors):
        return model
    first = tuple(dataclasses.replace(op, version=1) for op in graph.operators)
    return model_of([dataclasses.replace(graph, operators=first)], name=model.name)


def file(
    model: Model, *, metadata: bytes | None = None, labels: Sequence[str] | None = None
) -> bytes:
    if metadata is not None:
        model = dataclasses.replace(model, metadata={"TFLITE_METADATA": metadata})
    text = "".join(f"{label}\n" for label in labels or ())
    return tflite.write(model, {"labels.txt": text.encode()} if labels else None)


def metadata(
    mean: Sequence[float] = (127.5,), std: Sequence[float] = (127.5,), *, color_space: int = 1
) -> bytes:
    """A ModelMetadata, written field by field with the published schema's slots."""
    builder = flatbuffers.Builder(1024)

    def floats(values: Sequence[float]) -> int:
        return builder.CreateNumpyVector(np.asarray(values, np.float32))

    def vector(offsets: Sequence[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    def table(size: int, fields: dict[int, tuple[str, int]]) -> int:
        builder.StartObject(size)
        for slot, (kind, value) in fields.items():
            getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
        return builder.EndObject()

    offset = "UOffsetTRelative"
    means, stds = floats(mean), floats(std)
    options = table(2, {0: (offset, means), 1: (offset, stds)})
    unit = table(2, {0: ("Uint8", 1), 1: (offset, options)})
    image = table(2, {0: ("Int8", color_space)})
    content = table(3, {0: ("Uint8", 2), 1: (offset, image)})
    units = vector([unit])
    takes = vector([table(7, {3: (offset, content), 4: (offset, units)})])
    name = builder.CreateString("labels.txt")
    labels = vector([table(4, {0: (offset, name), 2: ("Int8", 2)})])
    gives = vector([table(7, {6: (offset, labels)})])
    subgraph = vector([table(6, {2: (offset, takes), 3: (offset, gives)})])
    builder.Finish(table(8, {3: (offset, subgraph)}), file_identifier=b"M001")
    return bytes(builder.Output())
