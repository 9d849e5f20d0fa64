"""A compiled part's own bytes, whole and damaged."""

from __future__ import annotations

from coral import PARAMETERS, channel_max, compiled, custom_options, flexbuffers, package
from hypothesis import given
from hypothesis import strategies as st

from edgenet import tflite
from edgenet.edgetpu import CompiledPart, flexbuffer, inspect


def operator(options=None):
    return tflite.read(compiled(channel_max(), options=options), "m").subgraphs[0].operators[0]


def test_compiled_part_says_what_it_is():
    part = inspect(operator())
    assert part == CompiledPart(
        bytes=len(custom_options()),
        executables=2,
        parameters=len(PARAMETERS),
        cached=True,
        compiler="16.0.384591198",
        min_runtime=14,
        chip="beagle",
    )


def test_bytes_of_another_form_are_said_to_be_so():
    assert inspect(operator(b"no flexbuffer")).unreadable
    part = inspect(operator(custom_options([b"no package"])))
    assert part.unreadable == "the mark 'DWN1' is missing"
    assert part.bytes > 0
    assert (part.compiler, part.parameters) == ("", 0)


def test_reader_agrees_with_the_published_one():
    data = custom_options([package(), b"second"])
    theirs = flexbuffers.GetRoot(data).AsMap
    mine = flexbuffer.read_map(data)
    assert set(mine) == {"1", "4", "5", "6", "7"}
    assert mine["1"] == theirs["1"].AsInt
    assert mine["4"] == package()
    assert mine["6"] == theirs["6"].AsVector.Value == [1, 1]
    assert mine["7"] == [b"second"]


values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="ascii"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


def as_bytes(value):
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [as_bytes(one) for one in value]
    if isinstance(value, dict):
        return {key: as_bytes(one) for key, one in value.items()}
    return value


@given(st.dictionaries(st.text("abc", min_size=1), values, max_size=5))
def test_any_map_is_read_as_it_was_written(written):
    assert flexbuffer.read(bytes(flexbuffers.Dumps(written))) == as_bytes(written)


@given(st.data())
def test_damaged_bytes_end_in_one_way(data):
    whole = bytearray(custom_options())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    inspect(operator(bytes(whole[:cut])))


def test_values_that_hold_themselves_end():
    # a vector of 100 values, each of which is the vector again, 40 deep
    length = 100
    body = bytes([length]) + bytes((i + 1) % 256 for i in range(length)) + bytes([10 << 2] * length)
    data = body + bytes([2 * length % 256, 10 << 2, 1])
    part = inspect(operator(data))
    assert part.unreadable
