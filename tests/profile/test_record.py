from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenet.environment import State
from edgenet.errors import RecordError
from edgenet.profile.record import SCHEMA, Memory, Operator, Unmeasured, decode, encode, read

from .conftest import MakeProfile, MakeRun


def test_a_record_is_read_back_whole(make_run: MakeRun, make_profile: MakeProfile) -> None:
    run = make_run(
        states=[State(-0.5, 51.25, (1500.0, 2400.0), "ondemand", 0x50000, None, 0.5, 7_000_000)],
        throttled=("under-voltage",),
        operators=(Operator(0, "Conv", "conv1", 0.25, 1.0),),
    )
    profile = make_profile(run, unmeasured=[Unmeasured("int8.onnx", 2, "no engine", True)])
    assert decode(encode(profile)) == profile


def test_percentiles_can_be_recomputed_from_the_samples(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    record = json.loads(encode(make_profile(make_run(invoke=[5.0, 1.0, 3.0]))))
    run = record["runs"][0]
    assert run["measured"]["samples"]["invoke"] == [5.0, 1.0, 3.0]
    assert run["stats"]["invoke"]["p50_ms"] == 3.0
    assert record["schema"] == SCHEMA


def test_what_is_unknown_is_null(make_run: MakeRun, make_profile: MakeProfile) -> None:
    record = json.loads(encode(make_profile(make_run(throttled=None, memory=None))))
    assert record["runs"][0]["throttled"] is None
    assert record["runs"][0]["measured"]["memory"] is None
    assert record["runs"][0]["states"][0]["temperature_c"] is None


def test_a_reader_ignores_keys_that_it_does_not_know(make_profile: MakeProfile) -> None:
    record = json.loads(encode(make_profile())) | {"later": 1}
    record["runs"][0]["later"] = {"deeper": []}
    assert decode(json.dumps(record).encode()) == make_profile()


def test_a_newer_schema_is_refused_with_both_numbers() -> None:
    text = json.dumps({"kind": "profile", "schema": SCHEMA + 1, "runs": "another layout"}).encode()
    with pytest.raises(RecordError, match=rf"pi\.json has schema {SCHEMA + 1}.* up to {SCHEMA};"):
        decode(text, "pi.json")


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe", b"[]", b'{"kind": "drift", "schema": 1}', b"{}"]
)
def test_what_is_no_profile_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(RecordError, match=r"x\.json is not a profile of edgenet"):
        decode(text, "x.json")


def test_a_malformed_profile_says_where(make_profile: MakeProfile) -> None:
    record = json.loads(encode(make_profile()))
    record["runs"][0]["threads"] = "two"
    with pytest.raises(RecordError, match=r"malformed.*runs\[0\]\.threads"):
        decode(json.dumps(record).encode())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.json cannot be read: No such file"):
        read(tmp_path / "none.json")


def test_memory_growth_is_from_before_the_engine_to_the_peak() -> None:
    assert Memory(before=100, loaded=150, peak=180).growth == 80
