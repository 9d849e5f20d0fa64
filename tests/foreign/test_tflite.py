"""What a .tflite says of itself, and why one is refused."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
from coral import channel_max, compiled
from hypothesis import given
from hypothesis import strategies as st
from sketch import Sketch, model_of
from strangers import CLASSES, SIDE, file, float_model, integer_model, metadata

from edgenet import foreign
from edgenet.errors import EdgenetError, ExportError, GraphError
from edgenet.foreign import PRESETS

LABELS = tuple("abcde")


def read(tmp_path, content, name="model.tflite"):
    path = tmp_path / name
    path.write_bytes(content)
    return foreign.read(path)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("kind", ["float", "planar", "int8", "uint8"])
def test_types_layout_and_answers_are_read(tmp_path, kind, softmax):
    if kind in ("int8", "uint8"):
        model = integer_model(kind, softmax=softmax)
    else:
        model = float_model(softmax=softmax, planar=kind == "planar")
    given = read(tmp_path, file(model))
    assert given.variant == ("int8.tflite" if kind in ("int8", "uint8") else "fp32.tflite")
    assert given.answers == ("probabilities" if softmax else "logits")
    assert (given.size, given.classes) == ((SIDE, SIDE), CLASSES)
    expected = (1, 3, SIDE, SIDE) if kind == "planar" else (1, SIDE, SIDE, 3)
    assert given.input.shape == expected
    assert given.input.dtype == (kind if kind in ("int8", "uint8") else "float32")
    assert (given.labels, given.normalization) == ((), None)


def test_metadata_gives_normalization_and_labels(tmp_path):
    given = read(tmp_path, file(float_model(), metadata=metadata(), labels=LABELS))
    assert given.normalization == PRESETS["tf"]
    assert given.labels == LABELS
    three = metadata((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    found = read(tmp_path, file(float_model(), metadata=three)).normalization
    np.testing.assert_allclose(found, PRESETS["torch"], rtol=1e-6)


def test_metadata_that_names_a_missing_file_gives_no_labels(tmp_path):
    assert read(tmp_path, file(float_model(), metadata=metadata())).labels == ()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"text that is no metadata", "its metadata is damaged; say --preprocess and --labels"),
        (metadata()[:60], "its metadata is damaged"),
        (metadata((1, 2), (1, 1)), "are not of three channels"),
        (metadata(color_space=2), "takes grey pictures; edgenet's are RGB"),
    ],
)
def test_bad_metadata_is_one_sentence(tmp_path, data, sentence):
    with pytest.raises(ExportError, match=sentence):
        read(tmp_path, file(float_model(), metadata=data, labels=LABELS))


@given(st.data())
def test_damaged_metadata_ends_in_one_way(tmp_path_factory, data):
    content = bytearray(metadata())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(EdgenetError):
        read(tmp_path_factory.mktemp("m"), file(float_model(), metadata=bytes(content)))


def reshaped(takes=(1, 4, 4, 3), gives=(1, 5), dtype="float32", *, ends=1, **quantization):
    draw = Sketch()
    inputs = [draw.tensor(takes, dtype=dtype, **quantization) for _ in range(ends)]
    y = draw.tensor(gives, dtype=dtype, **quantization)
    draw.operator("RESHAPE", inputs[:1], y, new_shape=gives)
    return draw.model(inputs, [y])


REFUSED = {
    "two inputs": (reshaped(ends=2), "has 2 inputs and 1 outputs; a classifier has one of each"),
    "a batch": (
        reshaped((8, 4, 4, 3)),
        "takes 8x4x4x3, a batch of 8; export it with one of 1",
    ),
    "grey": (reshaped((1, 4, 4, 1)), "takes 1x4x4x1; a picture is 1xHEIGHTxWIDTHx3 or"),
    "a vector": (reshaped((1, 48)), "takes 1x48; a picture is"),
    "a feature map": (reshaped(gives=(1, 1, 1, 5)), "gives 1x1x1x5; a classifier gives 1xCLASSES"),
    "one value": (reshaped(gives=(1, 1)), "gives 1x1; a classifier gives 1xCLASSES"),
    "int16": (
        reshaped(dtype="int16", scale=1.0),
        "'t0' is int16; one of float32, int8, uint8 is needed",
    ),
    "int64": (reshaped(dtype="int64"), "'t0' is int64; a classifier's is float32"),
    "no scale": (reshaped(dtype="uint8"), "'t0' is uint8 and has 0 scales; one is needed"),
    "sigmoid": (
        float_model(softmax=True, last="LOGISTIC"),
        "ends with LOGISTIC, which scores each class by itself",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_classifier_is_refused(tmp_path, name):
    model, sentence = REFUSED[name]
    with pytest.raises(ExportError, match=sentence):
        read(tmp_path, file(model))


def test_open_size_is_refused_and_an_open_batch_is_not(tmp_path):
    model = float_model()
    (graph,) = model.subgraphs

    def signed(*signature):
        first = dataclasses.replace(graph.tensors[0], shape_signature=signature)
        tensors = (first, *graph.tensors[1:])
        return file(model_of([dataclasses.replace(graph, tensors=tensors)]))

    assert read(tmp_path, signed(-1, SIDE, SIDE, 3)).size == (SIDE, SIDE)
    with pytest.raises(ExportError, match=r"takes 1x\?x\?x3, whose size is open"):
        read(tmp_path, signed(1, -1, -1, 3))


def test_compiled_model_is_sent_to_its_option(tmp_path):
    with pytest.raises(
        ExportError, match=r"is compiled for the Edge TPU; give the model .*--compiled"
    ):
        read(tmp_path, compiled(channel_max()))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ExportError, match="nothing at"):
        foreign.read(tmp_path / "none.tflite")
    with pytest.raises(
        ExportError, match=r"is neither a \.tflite nor a \.onnx file, by its name; give one"
    ):
        read(tmp_path, b"", "model.pt")
    with pytest.raises(GraphError, match="is not a TFLite model"):
        read(tmp_path, b"text", "model.tflite")
    with pytest.raises(GraphError, match="is not an ONNX model, or a damaged one"):
        read(tmp_path, b"\xff\xff text", "model.onnx")
