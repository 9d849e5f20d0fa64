"""Records to the bytes of a .tflite file, which every interpreter of the format reads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgenet.errors import GraphError, MissingPackage
from edgenet.tflite import schema
from edgenet.tflite.model import Model, Operator, Signature, Subgraph, Tensor
from edgenet.tflite.schema import Option

_WEIGHTS_ALIGNMENT = 16  # schema.fbs: force_align of Buffer.data


def write(model: Model, files: Mapping[str, bytes] | None = None) -> bytes:
    """The file of a model; the same records give the same bytes.

    Constants lie inside the flatbuffer, aligned to 16 bytes: TensorFlow Lite Micro reads no others.

    Args:
        model: what to write.
        files: associated files by name, put in an archive behind the model as TFLite's metadata
            convention has it; label files, as a rule.

    Raises:
        GraphError: an operator has options that edgenet does not know, or a tensor is sparse.
        MissingPackage: flatbuffers is not installed.
    """
    content = _Writer().model(model)
    return _with_archive(content, files) if files else content


def _with_archive(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """The model followed by a ZIP whose offsets count from the model's first byte."""
    stream = io.BytesIO(model)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            # stored, not deflated: the C++ metadata extractor reads nothing else
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, content)
    return stream.getvalue()


class _Writer:
    """Writes what a table points to before the table, as the format wants it."""

    def __init__(self) -> None:
        try:
            import flatbuffers
        except ImportError as error:
            raise MissingPackage("flatbuffers", "host", needed_for="writing a .tflite") from error
        self._builder: Any = flatbuffers.Builder(1 << 16)
        self._buffers: list[bytes] = [b""]
        self._codes: list[tuple[str, bool, int]] = []

    def model(self, model: Model) -> bytes:
        subgraphs = self._tables(map(self._subgraph, model.subgraphs))
        metadata = [self._metadata(name, data) for name, data in model.metadata.items()]
        slots = {
            0: ("Uint32", model.version),
            1: ("UOffsetTRelative", self._tables(map(self._code, self._codes))),
            2: ("UOffsetTRelative", subgraphs),
            3: ("UOffsetTRelative", self._builder.CreateString(model.description)),
            4: ("UOffsetTRelative", self._tables(map(self._buffer, self._buffers))),
            6: ("UOffsetTRelative", self._tables(metadata)),
            7: ("UOffsetTRelative", self._tables(map(self._signature, model.signatures))),
        }
        self._builder.Finish(self._table(slots), file_identifier=b"TFL3")
        return bytes(self._builder.Output())

    def _subgraph(self, graph: Subgraph) -> int:
        operators = self._tables(self._operator(op, graph) for op in graph.operators)
        return self._table(
            {
                0: ("UOffsetTRelative", self._tables(map(self._tensor, graph.tensors))),
                1: ("UOffsetTRelative", self._numbers(graph.inputs, "int32")),
                2: ("UOffsetTRelative", self._numbers(graph.outputs, "int32")),
                3: ("UOffsetTRelative", operators),
                4: ("UOffsetTRelative", self._builder.CreateString(graph.name)),
            }
        )

    def _tensor(self, tensor: Tensor) -> int:
        if tensor.sparse:
            raise GraphError(
                f"tensor {tensor.index} {tensor.name!r} is sparse, which edgenet does not write"
            )
        buffer = 0
        if tensor.data is not None:
            self._buffers.append(tensor.data.tobytes())
            buffer = len(self._buffers) - 1
        slots = {
            0: ("UOffsetTRelative", self._numbers(tensor.shape, "int32")),
            1: ("Int8", schema.DTYPES.index(tensor.dtype)),
            2: ("Uint32", buffer),
            3: ("UOffsetTRelative", self._builder.CreateString(tensor.name)),
            5: ("Bool", tensor.variable),
            8: ("Bool", True),
        }
        if tensor.scale:
            slots[4] = "UOffsetTRelative", self._quantization(tensor)
        if tensor.shape_signature:
            slots[7] = "UOffsetTRelative", self._numbers(tensor.shape_signature, "int32")
        return self._table(slots)

    def _quantization(self, tensor: Tensor) -> int:
        return self._table(
            {
                2: ("UOffsetTRelative", self._numbers(tensor.scale, "float32")),
                3: ("UOffsetTRelative", self._numbers(tensor.zero_point, "int64")),
                6: ("Int32", tensor.axis or 0),
            }
        )

    def _operator(self, op: Operator, graph: Subgraph) -> int:
        code = op.name, op.custom, op.version
        if code not in self._codes:
            self._codes.append(code)
        slots: dict[int, tuple[str, int]] = {
            0: ("Uint32", self._codes.index(code)),
            1: ("UOffsetTRelative", self._numbers(op.inputs, "int32")),
            2: ("UOffsetTRelative", self._numbers(op.outputs, "int32")),
        }
        if op.options_table:
            number, table = self._options(op)
            slots |= {3: ("Uint8", number), 4: ("UOffsetTRelative", table)}
        if op.custom_options:
            slots[5] = "UOffsetTRelative", self._bytes(op.custom_options, 1)
        return self._table(slots)

    def _options(self, op: Operator) -> tuple[int, int]:
        known = [table for table in schema.TABLES.values() if table.name == op.options_table]
        if not known:
            raise GraphError(
                f"operator {op.index} {op.name} has options that edgenet does not know, "
                f"{op.options_table}; it cannot be written"
            )
        slots = {
            field.slot: self._option(field, op.options[field.name])
            for field in known[0].fields
            if field.name in op.options
        }
        return known[0].number, self._table(slots)

    def _option(self, field: schema.Field, value: Option) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return "UOffsetTRelative", self._numbers(value, "int32")
        if isinstance(value, str):
            return "Int8", schema.ENUMERATIONS[field.kind].index(value)
        return {"bool": "Bool", "int": "Int32", "float": "Float32"}[field.kind], value

    def _code(self, code: tuple[str, bool, int]) -> int:
        name, custom, version = code
        number = schema.CUSTOM if custom else schema.BUILTIN_OPERATORS.index(name)
        slots = {0: ("Int8", min(number, 127)), 2: ("Int32", version), 3: ("Int32", number)}
        if custom:
            slots[1] = "UOffsetTRelative", self._builder.CreateString(name)
        return self._table(slots)

    def _metadata(self, name: str, data: bytes) -> int:
        self._buffers.append(data)
        slots = {
            0: ("UOffsetTRelative", self._builder.CreateString(name)),
            1: ("Uint32", len(self._buffers) - 1),
        }
        return self._table(slots)

    def _signature(self, signature: Signature) -> int:
        return self._table(
            {
                0: ("UOffsetTRelative", self._tensor_map(signature.inputs)),
                1: ("UOffsetTRelative", self._tensor_map(signature.outputs)),
                2: ("UOffsetTRelative", self._builder.CreateString(signature.name)),
                4: ("Uint32", signature.subgraph),
            }
        )

    def _tensor_map(self, names: Mapping[str, int]) -> int:
        entries = []
        for name, index in names.items():
            text = self._builder.CreateString(name)
            entries.append(self._table({0: ("UOffsetTRelative", text), 1: ("Uint32", index)}))
        return self._tables(entries)

    def _buffer(self, data: bytes) -> int:
        content = self._bytes(data, _WEIGHTS_ALIGNMENT)
        return self._table({0: ("UOffsetTRelative", content)} if data else {})

    def _bytes(self, data: bytes, alignment: int) -> int:
        self._builder.StartVector(1, len(data), alignment)
        self._builder.head = self._builder.Head() - len(data)
        self._builder.Bytes[self._builder.Head() : self._builder.Head() + len(data)] = data
        return int(self._builder.EndVector())

    def _numbers(self, values: Sequence[float], dtype: str) -> int:
        return int(self._builder.CreateNumpyVector(np.asarray(values, dtype)))

    def _tables(self, offsets: Iterable[int]) -> int:
        written = list(offsets)
        self._builder.StartVector(4, len(written), 4)
        for offset in reversed(written):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _table(self, slots: Mapping[int, tuple[str, Any]]) -> int:
        """A table of the given fields; fields that are not given have the schema's defaults."""
        self._builder.StartObject(max(slots, default=-1) + 1)
        for slot, (kind, value) in slots.items():
            prepend: Callable[[Any], None] = getattr(self._builder, f"Prepend{kind}")
            prepend(value)
            self._builder.Slot(slot)
        return int(self._builder.EndObject())
