from __future__ import annotations

import contextlib
import io
import itertools
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from edgenet.errors import EdgenetError, ExportError
from edgenet.host.tflite_metadata import Metadata, attach, read
from edgenet.spec import Preprocess

LABELS = ("tench", "English springer", "café", "église", "truck", "f", "g", "h", "i", "j")
SQUARE = Preprocess(96, 96)
GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def model(translated) -> bytes:
    return translated()["int8.tflite"]


def described(model: bytes, **changes) -> bytes:
    told = {"labels": LABELS, "preprocess": SQUARE, "name": "mobilenet", "description": "a test"}
    return attach(model, **told | changes)


# An independent reader: the flatbuffer format walked with struct alone, fields by number.


def follow(data: bytes, place: int) -> int:
    return place + struct.unpack_from("<I", data, place)[0]


def field(data: bytes, table: int, number: int) -> int | None:
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    if 4 + 2 * number >= size:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else None


def child(data: bytes, table: int, *numbers: int) -> int:
    """The table that a chain of fields leads to; a vector's first element where one is crossed."""
    for number in numbers:
        place = field(data, table, abs(number))
        table = follow(data, place)
        if number < 0:
            assert struct.unpack_from("<I", data, table)[0] == 1
            table = follow(data, table + 4)
    return table


def text(data: bytes, table: int, number: int) -> str:
    start = follow(data, field(data, table, number))
    return data[start + 4 : start + 4 + struct.unpack_from("<I", data, start)[0]].decode()


def floats(data: bytes, table: int, number: int) -> list[float]:
    start = follow(data, field(data, table, number))
    return list(
        struct.unpack_from(f"<{struct.unpack_from('<I', data, start)[0]}f", data, start + 4)
    )


def metadata_buffer(model: bytes) -> bytes:
    parsed = schema.ModelT.InitFromPackedBuf(model)
    (index,) = [m.buffer for m in parsed.metadata if m.name == b"TFLITE_METADATA"]
    return parsed.buffers[index].data.tobytes()


def test_metadata_is_where_the_convention_has_it(model):
    preprocess = Preprocess(96, 96, mean=(0.5, 0.4, 0.3), std=(0.25, 0.5, 0.5))
    data = metadata_buffer(described(model, preprocess=preprocess))

    assert data[4:8] == b"M001"
    root = follow(data, 0)
    assert text(data, root, 0) == "mobilenet"
    assert text(data, root, 1) == "a test"
    assert text(data, root, 7) == "1.0.0"  # min_parser_version
    picture = child(data, root, -3, -2)  # subgraph_metadata[0].input_tensor_metadata[0]
    content = child(data, picture, 3)
    assert data[field(data, content, 0)] == 2  # ContentProperties.ImageProperties
    assert data[field(data, child(data, content, 1), 0)] == 1  # ColorSpaceType.RGB
    unit = child(data, picture, -4)
    assert data[field(data, unit, 0)] == 1  # ProcessUnitOptions.NormalizationOptions
    normalization = child(data, unit, 1)
    assert floats(data, normalization, 0) == [127.5, 102.0, 76.5]
    assert floats(data, normalization, 1) == [63.75, 127.5, 127.5]
    stats = child(data, picture, 5)
    np.testing.assert_allclose(floats(data, stats, 0), [2.0, 1.2, 1.4], rtol=1e-6)  # max
    np.testing.assert_allclose(floats(data, stats, 1), [-2.0, -0.8, -0.6], rtol=1e-6)  # min
    logits = child(data, root, -3, -3)
    labels = child(data, logits, -6)
    assert text(data, labels, 0) == "labels.txt"
    assert data[field(data, labels, 2)] == 2  # AssociatedFileType.TENSOR_AXIS_LABELS


def test_the_published_schema_reads_what_is_written():
    """What mediapipe's classes, which flatc made of it, read in these bytes is metadata.json."""
    model = (GOLDEN / "tiny" / "models" / "int8.tflite").read_bytes()
    preprocess = Preprocess(16, 16, mean=(0.5, 0.4, 0.3), std=(0.25, 0.5, 0.5))
    labels = ("tench", "English springer", "café", "d", "e", "f")
    data = metadata_buffer(described(model, labels=labels, preprocess=preprocess))
    remake = "run scripts/make_golden_metadata.py"
    assert data == (GOLDEN / "metadata.bin").read_bytes(), remake
    found = json.loads((GOLDEN / "metadata.json").read_text(encoding="utf-8"))
    (graph,) = found["subgraphMetadata"]
    (picture,), (logits,) = graph["inputTensorMetadata"], graph["outputTensorMetadata"]
    assert picture["content"] == {
        "contentPropertiesType": 2,  # ImageProperties
        "contentProperties": {"colorSpace": 1},  # RGB
    }
    (unit,) = picture["processUnits"]
    assert unit["optionsType"] == 1  # NormalizationOptions
    assert unit["options"] == {"mean": [127.5, 102.0, 76.5], "std": [63.75, 127.5, 127.5]}
    np.testing.assert_allclose(picture["stats"]["max"], [2.0, 1.2, 1.4], rtol=1e-6)
    np.testing.assert_allclose(picture["stats"]["min"], [-2.0, -0.8, -0.6], rtol=1e-6)
    (file,) = logits["associatedFiles"]
    assert (file["name"], file["type"]) == ("labels.txt", 2)  # TENSOR_AXIS_LABELS


def test_labels_are_a_stored_file_of_a_zip_behind_the_model(model):
    with zipfile.ZipFile(io.BytesIO(described(model))) as archive:
        (member,) = archive.infolist()
        assert member.filename == "labels.txt"
        assert member.compress_type == zipfile.ZIP_STORED
        assert archive.read(member).decode() == "".join(f"{label}\n" for label in LABELS)
        assert archive.testzip() is None


def test_read_gives_what_was_attached(model):
    assert read(described(model)) == Metadata(
        "mobilenet", "a test", LABELS, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
    )


def test_float_and_int8_models_say_the_same(translated):
    files = translated()
    assert read(described(files["fp32.tflite"])) == read(described(files["int8.tflite"]))


def test_a_model_as_the_converter_wrote_it_has_no_metadata(model):
    assert read(model) is None


def test_the_same_arguments_give_the_same_bytes(model):
    assert described(model) == described(model)


def test_attaching_again_replaces_what_was_there(model):
    renamed = described(described(model, name="before"), labels=tuple("abcdefghij"), name="after")
    assert read(renamed).name == "after"
    assert read(renamed).labels == tuple("abcdefghij")
    assert described(described(model)) == described(model)


def test_weights_are_the_same_and_aligned_to_16_bytes(model):
    before, after = (
        [bytes(b.data) for b in schema.ModelT.InitFromPackedBuf(m).buffers if b.data is not None]
        for m in (model, described(model))
    )
    assert after[: len(before)] == before
    written = described(model)
    parsed = schema.Model.GetRootAs(written)
    for index in range(parsed.BuffersLength()):
        buffer = parsed.Buffers(index)
        if buffer.DataLength():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0


def test_weights_behind_the_flatbuffer_are_moved_into_it(model):
    """As ai-edge-quantizer writes large models; TensorFlow Lite Micro would read zeros."""
    parsed = schema.ModelT.InitFromPackedBuf(model)
    largest = max(parsed.buffers, key=lambda b: 0 if b.data is None else len(b.data))
    weights = bytes(largest.data)
    largest.data, largest.offset, largest.size = None, 1 << 24, len(weights)
    parsed_again = schema.ModelT.InitFromPackedBuf(
        described(packed(parsed).ljust(1 << 24) + weights)
    )
    assert all(b.offset == b.size == 0 for b in parsed_again.buffers)
    assert weights in [bytes(b.data) for b in parsed_again.buffers if b.data is not None]


def packed(parsed: schema.ModelT) -> bytes:
    builder = schema.flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_litert_and_tflite_micro_compute_the_same_as_without(model):
    micro = pytest.importorskip("tflite_micro").runtime
    pixels = np.random.default_rng(0).integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)

    def litert(content: bytes) -> np.ndarray:
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    def tflite_micro(content: bytes) -> np.ndarray:
        interpreter = micro.Interpreter.from_bytes(content, arena_size=1 << 20)
        interpreter.set_input(pixels, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    for run in (litert, tflite_micro):
        expected = run(model)
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(run(described(model)), expected)


@pytest.mark.parametrize("missing", [{"labels": ()}, {"preprocess": None}])
def test_metadata_without_labels_or_preprocessing_is_refused(model, missing):
    with pytest.raises(ExportError, match="needs the labels and the preprocessing"):
        described(model, **missing)


@pytest.mark.parametrize("label", ["", "two\nlines", "carriage\rreturn", "\n"])
def test_a_label_that_is_not_one_line_is_refused(model, label):
    with pytest.raises(ExportError, match="not one line of text"):
        described(model, labels=(*LABELS[1:], label))


@pytest.mark.parametrize("wrong", [{"labels": LABELS[1:]}, {"preprocess": Preprocess(96, 64)}])
def test_what_does_not_fit_the_model_is_refused(model, wrong):
    with pytest.raises(ExportError, match=r"shapes \[\(1, 96, 96, 3\), \(1, 10\)\]"):
        described(model, **wrong)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\3\4" * 40, b"\x08\x00\x00\x00ONNX" * 9])
def test_bytes_that_are_no_model_are_refused_in_words(content):
    with pytest.raises(ExportError, match="not a TFLite model"):
        read(content)


def test_a_model_cut_off_anywhere_is_refused_in_words(model):
    for end in range(8, 4000, 37):
        with pytest.raises(ExportError, match="cut off or damaged"):
            described(model[:end])


def test_metadata_of_a_model_without_its_zip_is_refused_in_words(model):
    whole = described(model)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.infolist()[0].header_offset
    with pytest.raises(ExportError, match="metadata is malformed"):
        read(whole[:start])


def tiny() -> bytes:
    """A model that is all structure: damage anywhere hits some."""
    tensors = [
        schema.TensorT(shape=np.array(shape, np.int32), type=schema.TensorType.INT8, name=name)
        for shape, name in (((1, 2, 2, 3), b"in"), ((1, 2), b"out"))
    ]
    graph = schema.SubGraphT(tensors=tensors, inputs=[0], outputs=[1], operators=[])
    model = schema.ModelT(
        version=3, subgraphs=[graph], buffers=[schema.BufferT()], operatorCodes=[]
    )
    return described(packed(model), labels=("a", "b"), preprocess=Preprocess(2, 2))


@given(st.data())
def test_damage_gives_a_sentence_or_a_reading_but_never_a_traceback(data):
    damaged = bytearray(tiny())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(EdgenetError):
        assert isinstance(read(bytes(damaged)), Metadata | None)


def test_any_one_damaged_byte_gives_a_sentence_or_a_reading():
    whole, refused = tiny(), 0
    for place, value in itertools.product(range(len(whole)), (0, 127, 255)):
        damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
        try:
            read(damaged)
        except EdgenetError:
            refused += 1
    assert refused > 100
