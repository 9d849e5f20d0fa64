from __future__ import annotations

import dataclasses
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketch import Sketch, model_of

from edgenet import tflite
from edgenet.errors import GraphError
from edgenet.tflite import schema

pytest.importorskip("flatbuffers")

TINY = (Path(__file__).parent.parent / "golden/tiny/models/int8.tflite").read_bytes()


def equal(left: object, right: object) -> bool:
    """Records by value, arrays by shape, type and elements."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if dataclasses.is_dataclass(left) and dataclasses.is_dataclass(right):
        names = [field.name for field in dataclasses.fields(left)]
        return all(equal(getattr(left, name), getattr(right, name)) for name in names)
    return bool(left == right)


def test_a_model_that_is_read_and_written_and_read_again_is_the_same():
    model = tflite.read(TINY, "tiny")
    written = tflite.write(model)
    assert equal(model, tflite.read(written, "tiny"))
    assert written == tflite.write(model)


def test_interpreters_take_what_is_written():
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    picture = np.random.default_rng(0).integers(-128, 128, (1, 16, 16, 3)).astype(np.int8)
    answers = []
    for data in (TINY, tflite.write(tflite.read(TINY, "tiny"))):
        engine = interpreter(model_content=data)
        engine.allocate_tensors()
        engine.set_tensor(engine.get_input_details()[0]["index"], picture)
        engine.invoke()
        answers.append(engine.get_tensor(engine.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*answers)


@given(st.data())
def test_options_survive_writing(data):
    table = data.draw(st.sampled_from(list(schema.TABLES.values())))
    values = {
        "bool": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "float": st.floats(width=32, allow_nan=False),
        "[int]": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4).map(tuple),
    }
    values |= {kind: st.sampled_from(names) for kind, names in schema.ENUMERATIONS.items()}
    options = {field.name: data.draw(values[field.kind]) for field in table.fields}
    sketch = Sketch()
    x = sketch.tensor((1,))
    sketch.operator("RELU", [x, tflite.ABSENT], x)
    operator = dataclasses.replace(
        sketch.operators[0], options_table=table.name, options=MappingProxyType(options)
    )
    graph = dataclasses.replace(sketch.model([x], [x]).subgraphs[0], operators=(operator,))
    (found,) = tflite.read(tflite.write(model_of([graph])), "it").subgraphs[0].operators
    assert equal(found, operator)


def test_options_that_are_not_known_are_refused():
    sketch = Sketch()
    x = sketch.tensor((1,))
    sketch.operator("RELU", [x], x)
    operator = dataclasses.replace(sketch.operators[0], options_table="126")
    graph = dataclasses.replace(sketch.model([x], [x]).subgraphs[0], operators=(operator,))
    with pytest.raises(GraphError, match="operator 0 RELU has options that edgenet does not know"):
        tflite.write(model_of([graph]))


def test_weights_are_aligned_to_16_bytes():
    model = tflite.read(TINY, "tiny")
    data = tflite.write(model)
    weights = [
        t.data for t in model.subgraphs[0].tensors if t.data is not None and t.data.size > 64
    ]
    assert weights
    for values in weights:
        assert data.index(values.tobytes()) % 16 == 0
