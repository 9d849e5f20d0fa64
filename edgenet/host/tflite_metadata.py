"""Labels and normalization inside a .tflite, as the TensorFlow Lite metadata convention has them.

The model's metadata entry ``TFLITE_METADATA`` is a flatbuffer of its own (file identifier M001,
schema 1.0.0, https://ai.google.dev/edge/litert/conversion/tensorflow/metadata); the label file is a
ZIP archive behind the model, which interpreters do not read and ``unzip -l model.tflite`` lists.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert.schema_py_generated import BufferT, MetadataT, ModelT

from edgenet.errors import ExportError
from edgenet.host.metadata_schema import RGB, TENSOR_AXIS_LABELS, Values, pack, unpack
from edgenet.spec import Preprocess

ENTRY = b"TFLITE_METADATA"
LABELS_FILE = "labels.txt"

# what flatbuffers and zipfile raise when offsets, lengths or flags are wrong
_MALFORMED = (
    struct.error,
    zipfile.BadZipFile,
    EOFError,
    IndexError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Metadata(msgspec.Struct, frozen=True):
    """What a .tflite says about itself; an empty tuple where it says nothing.

    Attributes:
        name: the model's name.
        description: one or two sentences for people.
        labels: class names, in the order of the output's values.
        mean: of each channel, for pixels of 0..255; input = (pixel - mean) / std.
        std: of each channel, for pixels of 0..255.
    """

    name: str
    description: str
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def attach(
    model: bytes,
    *,
    labels: Sequence[str],
    preprocess: Preprocess | None,
    name: str,
    description: str,
) -> bytes:
    """``model`` with its metadata and label file, in place of any that it had.

    Weights that lie behind the flatbuffer are moved into it, aligned to 16 bytes: TensorFlow Lite
    Micro reads no others. The same arguments give the same bytes.

    Raises:
        ExportError: not a TFLite model, no labels or preprocessing, or they do not fit the model.
    """
    if not labels or preprocess is None:
        raise ExportError(
            "metadata needs the labels and the preprocessing of the model; give both, or leave the "
            "model without metadata"
        )
    for label in labels:
        if label.splitlines() != [label]:
            raise ExportError(f"label {label!r} is not one line of text; {LABELS_FILE} needs that")
    parsed = _parse(model)
    _check_shapes(parsed, len(labels), preprocess)
    for buffer in parsed.buffers:
        if buffer.size:
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    packed = np.frombuffer(pack(_describe(preprocess, name, description)), np.uint8)
    parsed.buffers[_buffer_of_entry(parsed)].data = packed
    builder = _AlignedBuilder(len(model) + 1024)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    return _with_archive(bytes(builder.Output()), "".join(f"{label}\n" for label in labels))


def read(model: bytes) -> Metadata | None:
    """What the model says about itself; None when it has no metadata.

    Raises:
        ExportError: not a TFLite model, or its metadata is malformed.
    """
    parsed = _parse(model)
    found = [m.buffer for m in parsed.metadata or [] if m.name == ENTRY]
    if not found:
        return None
    try:
        content = unpack(bytes(parsed.buffers[found[0]].data))
        subgraph = content["subgraph_metadata"][0]
        units = subgraph["input_tensor_metadata"][0].get("process_units", [])
        normalization: Values = next((u["options"] for u in units if "options" in u), {})
        files = subgraph["output_tensor_metadata"][0].get("associated_files", [])
        names = [f["name"] for f in files if f.get("type") == TENSOR_AXIS_LABELS]
        return Metadata(
            name=content.get("name", ""),
            description=content.get("description", ""),
            labels=_archived_lines(model, names[0]) if names else (),
            mean=normalization.get("mean", ()),
            std=normalization.get("std", ()),
        )
    except (*_MALFORMED, KeyError) as error:
        raise ExportError("the model's metadata is malformed; attach it again") from error


def _parse(model: bytes) -> Any:
    """The model as objects of the TFLite schema."""
    if model[4:8] != b"TFL3":
        raise ExportError(
            "the bytes are not a TFLite model: its mark 'TFL3' is missing; give a .tflite file"
        )
    try:
        parsed = ModelT.InitFromPackedBuf(model)
        [parsed.subgraphs[0].tensors[i] for i in (*_inputs(parsed), *_outputs(parsed))]
    except (*_MALFORMED, AttributeError) as error:
        raise ExportError("the TFLite model is cut off or damaged; export it again") from error
    return parsed


def _buffer_of_entry(parsed: Any) -> int:
    """Index of the buffer for the metadata: the one in use, or a new one."""
    parsed.metadata = parsed.metadata or []
    for entry in parsed.metadata:
        if entry.name == ENTRY:
            return int(entry.buffer)
    parsed.metadata.append(MetadataT(name=ENTRY, buffer=len(parsed.buffers)))
    parsed.buffers.append(BufferT())
    return len(parsed.buffers) - 1


def _inputs(parsed: Any) -> list[int]:
    return list(parsed.subgraphs[0].inputs)


def _outputs(parsed: Any) -> list[int]:
    return list(parsed.subgraphs[0].outputs)


def _check_shapes(parsed: Any, classes: int, preprocess: Preprocess) -> None:
    tensors = parsed.subgraphs[0].tensors
    given = [tuple(map(int, tensors[i].shape)) for i in (*_inputs(parsed), *_outputs(parsed))]
    wanted = [(1, preprocess.height, preprocess.width, 3), (1, classes)]
    if given != wanted:
        raise ExportError(
            f"the model's inputs and outputs have the shapes {given}, but {classes} labels and "
            f"pictures of {preprocess.height}x{preprocess.width} pixels need {wanted}"
        )


def _describe(preprocess: Preprocess, name: str, description: str) -> Values:
    """The metadata as nested tables; float and int8 models say the same."""
    pairs = list(zip(preprocess.mean, preprocess.std, strict=True))
    picture = {
        "name": "image",
        "description": f"RGB picture, {preprocess.height}x{preprocess.width} pixels, "
        f"resized by {preprocess.resize}",
        "content": {"content_properties": {"color_space": RGB}},
        "process_units": [
            {
                "options": {
                    "mean": [255 * mean for mean in preprocess.mean],
                    "std": [255 * std for std in preprocess.std],
                }
            }
        ],
        "stats": {
            "max": [(1 - mean) / std for mean, std in pairs],
            "min": [-mean / std for mean, std in pairs],
        },
    }
    labels = {
        "name": LABELS_FILE,
        "description": "one class a line, in the order of the logits",
        "type": TENSOR_AXIS_LABELS,
    }
    logits = {
        "name": "logits",
        "description": "one score a class, before softmax",
        "associated_files": [labels],
    }
    subgraph = {"input_tensor_metadata": [picture], "output_tensor_metadata": [logits]}
    return {
        "name": name,
        "description": description,
        "subgraph_metadata": [subgraph],
        "min_parser_version": "1.0.0",
    }


def _with_archive(model: bytes, labels: str) -> bytes:
    """The model followed by a ZIP whose offsets count from the model's first byte."""
    stream = io.BytesIO(model)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "w") as archive:
        # stored, not deflated: the C++ metadata extractor reads nothing else
        member = zipfile.ZipInfo(LABELS_FILE, date_time=(1980, 1, 1, 0, 0, 0))
        member.create_system, member.external_attr = 3, 0o644 << 16
        archive.writestr(member, labels)
    return stream.getvalue()


def _archived_lines(model: bytes, name: str) -> tuple[str, ...]:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise zipfile.BadZipFile(f"{name} is compressed")
        return tuple(archive.read(name).decode().removesuffix("\n").split("\n"))


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Puts byte vectors, which hold the weights, at multiples of 16 bytes.

    schema.fbs asks for it (``force_align: 16``); the generated Python classes do not.
    """

    def StartVector(self, elem_size: int, count: int, alignment: int) -> int:  # noqa: N802
        wanted = 16 if elem_size == 1 else alignment
        return super().StartVector(elem_size, count, wanted)  # type: ignore[no-any-return]
