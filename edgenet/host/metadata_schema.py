"""The published schema of TFLite metadata: nested mappings to a flatbuffer and back.

Field names and their order are those of metadata_schema.fbs 1.0.0 in tflite-support; fields after
the last that edgenet uses are left out, which the format allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import flatbuffers.table
import numpy as np
from flatbuffers import number_types as n

Values = Mapping[str, Any]

RGB = 1
TENSOR_AXIS_LABELS = 2

# a union is written with the number of the one member of it that edgenet uses
_DECLARATIONS = {
    "ModelMetadata": "name:string description:string version:string "
    "subgraph_metadata:[SubGraphMetadata] author:string license:string "
    "associated_files:[AssociatedFile] min_parser_version:string",
    "SubGraphMetadata": "name:string description:string input_tensor_metadata:[TensorMetadata] "
    "output_tensor_metadata:[TensorMetadata] associated_files:[AssociatedFile]",
    "TensorMetadata": "name:string description:string dimension_names:[string] content:Content "
    "process_units:[ProcessUnit] stats:Stats associated_files:[AssociatedFile]",
    "Content": "content_properties:ImageProperties@2",
    "ImageProperties": "color_space:byte",
    "ProcessUnit": "options:NormalizationOptions@1",
    "NormalizationOptions": "mean:[float] std:[float]",
    "Stats": "max:[float] min:[float]",
    "AssociatedFile": "name:string description:string type:byte",
}


@dataclass(frozen=True)
class _Field:
    """Where a table keeps a value: slot of the vtable, type, and its number if it is a union."""

    slot: int
    kind: str
    many: bool
    member: int


def _fields(declarations: Sequence[str]) -> dict[str, _Field]:
    fields, slot = {}, 0
    for declaration in declarations:
        name, kind = declaration.split(":")
        kind, _, member = kind.partition("@")
        slot += bool(member)  # a union is preceded by the number of the member that it holds
        fields[name] = _Field(slot, kind.strip("[]"), kind.startswith("["), int(member or 0))
        slot += 1
    return fields


_SCHEMA = {name: _fields(text.split()) for name, text in _DECLARATIONS.items()}


def pack(values: Values) -> bytes:
    """A ModelMetadata flatbuffer."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write_table(builder, "ModelMetadata", values), file_identifier=b"M001")
    return bytes(builder.Output())


def _write_table(builder: Any, table: str, values: Values) -> int:
    fields = _SCHEMA[table]
    # what a table points to is written before it
    written = [(fields[name], _write(builder, fields[name], v)) for name, v in values.items()]
    builder.StartObject(1 + max(field.slot for field in fields.values()))
    for field, value in written:
        if field.member:
            builder.PrependUint8Slot(field.slot - 1, field.member, 0)
        if field.kind == "byte":
            builder.PrependInt8Slot(field.slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field.slot, value, 0)
    return builder.EndObject()  # type: ignore[no-any-return]


def _write(builder: Any, field: _Field, value: Any) -> int:
    if field.kind == "byte":
        return int(value)
    if field.kind == "string":
        return builder.CreateString(value)  # type: ignore[no-any-return]
    if field.kind == "float":
        return builder.CreateNumpyVector(np.asarray(value, np.float32))  # type: ignore[no-any-return]
    if not field.many:
        return _write_table(builder, field.kind, value)
    offsets = [_write_table(builder, field.kind, element) for element in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()  # type: ignore[no-any-return]


def unpack(data: bytes) -> dict[str, Any]:
    """The fields that a ModelMetadata flatbuffer holds.

    Raises:
        ValueError, TypeError, IndexError, struct.error: malformed bytes.
    """
    if data[4:8] != b"M001":
        raise ValueError("its mark 'M001' is missing")
    root = int.from_bytes(data[:4], "little")
    return _read_table(flatbuffers.table.Table(data, root), "ModelMetadata")


def _read_table(table: Any, name: str) -> dict[str, Any]:
    values = {}
    for key, field in _SCHEMA[name].items():
        offset = table.Offset(4 + 2 * field.slot)
        if not offset:
            continue
        if field.member:
            type_offset = table.Offset(2 + 2 * field.slot)
            if table.Get(n.Uint8Flags, table.Pos + type_offset) != field.member:
                continue
        values[key] = _read(table, field, offset)
    return values


def _read(table: Any, field: _Field, offset: int) -> Any:
    here = table.Pos + offset
    if field.kind == "byte":
        return table.Get(n.Int8Flags, here)
    if field.kind == "float":
        values = np.frombuffer(table.Bytes, "<f4", table.VectorLen(offset), table.Vector(offset))
        return tuple(values.tolist())
    if not field.many:
        return _read_at(table.Bytes, field.kind, here)
    start = table.Vector(offset)
    places = range(start, start + 4 * table.VectorLen(offset), 4)
    return [_read_at(table.Bytes, field.kind, place) for place in places]


def _read_at(data: bytes, kind: str, place: int) -> Any:
    """The string or table that the offset at ``place`` leads to."""
    table = flatbuffers.table.Table(data, place)
    if kind == "string":
        return table.String(place).decode()
    return _read_table(flatbuffers.table.Table(data, table.Indirect(place)), kind)
