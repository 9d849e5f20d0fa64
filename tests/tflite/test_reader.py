from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sketch import Sketch, model_of

from edgenet import tflite
from edgenet.errors import GraphError
from edgenet.tflite import flatbuffer

pytest.importorskip("flatbuffers")

TINY = (Path(__file__).parent.parent / "golden/tiny/models/int8.tflite").read_bytes()


def drawn() -> Sketch:
    """One convolution, per channel, of an 8x8 picture."""
    sketch = Sketch()
    x = sketch.tensor((1, 8, 8, 3), scale=0.5, zero_point=3)
    y = sketch.tensor((1, 8, 8, 2), scale=0.25, zero_point=-128)
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (2, 3, 3, 3)).astype(np.int8)
    bias = np.array([7, -9], np.int32)
    sketch.weighted(
        "CONV_2D", x, weight, bias, y,
        weight_scale=(0.5, 0.125), padding="SAME", stride_w=1, stride_h=1,
        fused_activation_function="RELU6", dilation_w_factor=1, dilation_h_factor=1,
    )  # fmt: skip
    return sketch


def conv() -> bytes:
    return tflite.write(drawn().model([0], [1]))


def test_every_tensor_is_what_litert_says_it_is():
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_content=TINY)
    interpreter.allocate_tensors()
    tensors = tflite.read(TINY, "tiny").subgraphs[0].tensors
    theirs = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    assert len(tensors) >= 15
    for tensor in tensors:
        detail = theirs[tensor.index]
        quantization = detail["quantization_parameters"]
        assert tensor.name == detail["name"]
        assert tensor.shape == tuple(detail["shape"])
        assert tensor.dtype == np.dtype(detail["dtype"]).name
        if tensor.scale:  # LiteRT repeats the one scale of FULLY_CONNECTED for each channel
            assert set(tensor.scale) == set(quantization["scales"].tolist())
            assert set(tensor.zero_point) == set(quantization["zero_points"].tolist())
        if tensor.axis is not None:
            assert tensor.axis == quantization["quantized_dimension"]
        if tensor.data is not None:
            np.testing.assert_array_equal(tensor.data, interpreter.get_tensor(tensor.index))


def test_operators_come_in_order_with_their_options():
    operators = tflite.read(TINY, "tiny").subgraphs[0].operators
    names = ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
    assert [operator.name for operator in operators] == names
    assert operators[0].options["padding"] == "SAME"
    assert operators[0].options["stride_h"] == 2
    assert operators[0].options["dilation_w_factor"] == 1  # left out in the file
    assert operators[3].options["keep_dims"] is False
    assert not any(operator.custom for operator in operators)


def test_an_axis_stands_where_scales_are_per_channel():
    weight = tflite.read(conv(), "conv").subgraphs[0].tensors[2]
    assert weight.scale == (0.5, 0.125)
    assert weight.zero_point == (0, 0)
    assert weight.axis == 0


def test_constants_cannot_be_written_to():
    weight = tflite.read(conv(), "conv").subgraphs[0].tensors[2]
    assert weight.data is not None
    with pytest.raises(ValueError, match="read-only"):
        weight.data[...] = 0


def test_weights_behind_the_flatbuffer_are_found():
    """As ai_edge_quantizer writes large models."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    parsed = schema.ModelT.InitFromPackedBuf(conv())
    contents = [b"" if b.data is None else bytes(b.data) for b in parsed.buffers]

    def packed(offsets):
        for buffer, content, offset in zip(parsed.buffers, contents, offsets, strict=True):
            buffer.data = None
            buffer.offset, buffer.size = (offset, len(content)) if content else (0, 0)
        builder = flatbuffers.Builder(1024)
        builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    start = len(packed([1 << 20] * len(contents)))
    offsets = [start + sum(map(len, contents[:i])) for i in range(len(contents))]
    data = packed(offsets) + b"".join(contents)
    found = tflite.read(data, "external").subgraphs[0].tensors
    for tensor, expected in zip(found, drawn().tensors, strict=True):
        if expected.data is None:
            assert tensor.data is None
        else:
            np.testing.assert_array_equal(tensor.data, expected.data)
    with pytest.raises(GraphError, match=r"external is cut off or damaged: .* beyond its end"):
        tflite.read(data[:-1], "external")


def test_subgraphs_signatures_custom_operators_and_metadata_are_read():
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    graph = drawn().model([0], [1]).subgraphs[0]
    signatures = [tflite.Signature("second", 1, {"picture": 0}, {"answer": 1})]
    data = tflite.write(
        model_of([graph, graph], signatures=signatures, metadata={"note": b"\x00\x01"})
    )
    parsed = schema.ModelT.InitFromPackedBuf(data)
    parsed.operatorCodes[0].customCode = b"edgetpu-custom-op"
    parsed.operatorCodes[0].deprecatedBuiltinCode = parsed.operatorCodes[0].builtinCode = 32
    parsed.subgraphs[1].operators[0].customOptions = np.frombuffer(b"abc", np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    model = tflite.read(bytes(builder.Output()), "two")
    assert len(model.subgraphs) == 2
    assert model.signatures == tuple(signatures)
    assert model.metadata == {"note": b"\x00\x01"}
    operator = model.subgraphs[1].operators[0]
    assert (operator.name, operator.custom) == ("edgetpu-custom-op", True)
    assert operator.custom_options == b"abc"


def test_an_older_file_has_its_operator_code_in_the_older_field_alone():
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    parsed = schema.ModelT.InitFromPackedBuf(conv())
    parsed.operatorCodes[0].builtinCode = 0
    builder = flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    assert tflite.read(bytes(builder.Output()), "old").subgraphs[0].operators[0].name == "CONV_2D"


def test_label_files_behind_a_model_are_found():
    model = tflite.read(conv(), "conv")
    data = tflite.write(model, {"labels.txt": b"cat\ndog\n"})
    assert tflite.associated_files(data, "conv") == {"labels.txt": b"cat\ndog\n"}
    assert tflite.associated_files(conv(), "conv") == {}
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert tflite.read(data, "conv").subgraphs[0].outputs == (1,)


def test_associated_files_that_unpack_to_too_much_are_refused():
    stream = io.BytesIO(conv())
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes((16 << 20) + 1))
    with pytest.raises(GraphError, match="larger than 16 MiB"):
        tflite.associated_files(stream.getvalue(), "bomb")


@pytest.mark.parametrize(
    "data", [b"", b"\x08\x00\x00\x00", b"PK\x03\x04 is no model", b"\x00" * 64]
)
def test_what_is_no_model_is_refused_in_one_sentence(data):
    with pytest.raises(GraphError, match=r"^it is not a TFLite model: its mark 'TFL3' is missing"):
        tflite.read(data, "it")


# Malformed files: GraphError or a model, never anything else.


def survive(data: bytes) -> bool:
    """Whether the bytes were read; the only error that may come is GraphError."""
    with contextlib.suppress(GraphError):
        tflite.associated_files(data, "fuzzed")
    try:
        tflite.read(data, "fuzzed")
    except GraphError:
        return False
    return True


@given(st.binary(max_size=400))
def test_random_bytes_never_crash_the_reader(tail):
    survive(tail)
    survive(tail[:4] + b"TFL3" + tail[4:])


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_flipped_bytes_never_crash_the_reader(seed, count):
    rng = random.Random(seed)
    data = bytearray(tflite.write(drawn().model([0], [1]), {"labels.txt": b"a\nb\n"}))
    for _ in range(count):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    survive(bytes(data))


def test_every_truncation_is_refused():
    data = conv()
    for size in range(0, len(data) - 16, 3):
        survive(data[:size])
    assert survive(data)
    assert not survive(data[: len(data) // 2])


def test_every_offset_may_be_wrong():
    """Each aligned word of a file is replaced by offsets and lengths that lead astray."""
    data = conv()
    survived = 0
    for position in range(0, len(data) - 4, 4):
        for word in (0, 4, 0x7FFFFFFF, 0xFFFFFFFF, len(data) - position):
            broken = data[:position] + struct.pack("<I", word) + data[position + 4 :]
            survived += survive(broken)
    assert survived > 0


def bomb(count: int) -> bytes:
    """A file whose ``count`` tensors are one and the same, which has a name of as many bytes."""
    sketch = Sketch()
    for _ in range(count):
        sketch.tensor(())
    named = dataclasses.replace(sketch.tensors[0], name="n" * count)
    graph = dataclasses.replace(
        sketch.model([0], [0]).subgraphs[0], tensors=(named, *sketch.tensors[1:])
    )
    data = bytearray(tflite.write(model_of([graph])))
    source = flatbuffer.Bytes(bytes(data))
    (subgraph,) = source.root().tables(2)
    start, length = source.vector(subgraph._field(0), 4)
    assert length == count
    for place in range(start + 4, start + 4 * count, 4):
        data[place : place + 4] = struct.pack("<I", source.follow(start) - place)
    return bytes(data)


def test_a_file_that_leads_everywhere_to_the_same_bytes_takes_little_time_and_memory():
    data = bomb(2000)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(GraphError, match="again and again"):
        tflite.read(data, "bomb")
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * len(data)
    assert seconds < 5
