"""The hand-written schema against the classes that LiteRT generates from schema.fbs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgenet.tflite import schema

generated = pytest.importorskip("ai_edge_litert.schema_py_generated")


def constants(name):
    found = vars(getattr(generated, name)).items()
    return {key: value for key, value in found if isinstance(value, int)}


@pytest.fixture(scope="module")
def classes():
    """The source of each generated class."""
    source = Path(generated.__file__).read_text(encoding="utf-8")
    return dict(re.findall(r"^class (\w+)\(object\):\n(.*?)(?=^\S|\Z)", source, re.S | re.M))


def accessors(source):
    """By offset in the vtable: what the generated class calls a field, its type and default."""
    found = {}
    for name, body in re.findall(
        r"    def (\w+)\(self.*?\):\n(.*?)(?=\n    def |\Z)", source, re.S
    ):
        offset = re.search(r"self\._tab\.Offset\((\d+)\)", body)
        if offset and not name.endswith(("AsNumpy", "Length", "IsNone")):
            flags = re.findall(r"number_types\.(\w+)Flags, ", body)
            default = re.findall(r"return (\S+)\s*(?:# \S+\s*)?\Z", body)
            found[int(offset[1])] = name, flags[-1] if flags else "", default[-1]
    return found


def test_every_operator_has_the_number_that_litert_knows_it_by():
    known = constants("BuiltinOperator")
    assert dict(zip(schema.BUILTIN_OPERATORS, range(len(known)), strict=True)) == known
    assert known["CUSTOM"] == schema.CUSTOM


def test_every_dtype_has_the_number_that_litert_knows_it_by():
    assert {name.upper(): i for i, name in enumerate(schema.DTYPES)} == constants("TensorType")


@pytest.mark.parametrize("name", [name for name in schema.ENUMERATIONS if name != "TensorType"])
def test_enumerators_are_those_of_litert(name):
    assert {key: i for i, key in enumerate(schema.ENUMERATIONS[name])} == constants(name)


NUMBERS = {"bool": "Bool", "int": "Int32", "float": "Float32", "[int]": "Int32"}


@pytest.mark.parametrize("table", schema.TABLES.values(), ids=lambda table: table.name)
def test_options_are_those_of_litert(table, classes):
    assert constants("BuiltinOptions")[table.name] == table.number
    theirs = accessors(classes[table.name])
    ours = {4 + 2 * field.slot: field for field in table.fields}
    # the one field that is newer than any interpreter in use
    theirs = {offset: entry for offset, entry in theirs.items() if entry[0] != "QuantSpec"}
    assert theirs.keys() == ours.keys()
    for offset, (name, kind, default) in theirs.items():
        field = ours[offset]
        assert name == "".join(part.capitalize() for part in field.name.split("_"))
        assert kind == NUMBERS.get(field.kind, "Int8")
        expected = str(bool(field.default)) if field.kind == "bool" else str(field.default)
        assert default == (f"{expected}.0" if field.kind == "float" else expected)
