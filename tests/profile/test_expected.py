from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from edgenet.profile.advice import notes
from edgenet.profile.expected import TABLE, expected, unexpected

from .conftest import PI5, MakeProfile, MakeRun

KNOWN: dict[str, Any] = {"arch": "mobilenet_v2", "alpha": 1.0, "height": 224, "width": 224}


@pytest.mark.parametrize(("ms", "sound"), [(4.0, True), (7.9, True), (30.0, False), (1.0, False)])
def test_a_result_far_outside_is_unexpected(
    make_run: MakeRun, make_profile: MakeProfile, ms: float, sound: bool
) -> None:
    profile = make_profile(make_run(threads=4, invoke=[ms]), **KNOWN)
    assert (list(unexpected(profile)) == []) is sound
    said = [note for note in notes(profile) if "unexpected" in note]
    assert len(said) == (not sound)
    if said:
        assert "check XNNPACK / threads / governor / throttling" in said[0]
        assert "3.5 to 8 ms (4.01 ms published: learn.arm.com" in said[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "mobilenet_v3_large"},
        {"alpha": 0.5},
        {"height": 128},
        {"machine": msgspec.structs.replace(PI5, board="Some other board")},
        {"machine": msgspec.structs.replace(PI5, board=None)},
    ],
)
def test_what_nothing_is_published_for_is_not_judged(
    make_run: MakeRun, make_profile: MakeProfile, changes: dict[str, Any]
) -> None:
    profile = make_profile(make_run(threads=4, invoke=[500.0]), **KNOWN | changes)
    assert list(unexpected(profile)) == []


@pytest.mark.parametrize(("variant", "threads"), [("int8.onnx", 4), ("int8.tflite", 2)])
def test_other_engines_and_thread_counts_are_not_judged(
    make_run: MakeRun, make_profile: MakeProfile, variant: str, threads: int
) -> None:
    profile = make_profile(make_run(variant, threads, invoke=[500.0]), **KNOWN)
    assert expected(profile, profile.runs[0]) is None


def test_an_emulated_machine_is_not_judged(make_run: MakeRun, make_profile: MakeProfile) -> None:
    machine = msgspec.structs.replace(PI5, emulator="QEMU")
    profile = make_profile(make_run(threads=4, invoke=[500.0]), machine=machine, **KNOWN)
    assert list(unexpected(profile)) == []


def test_the_table_holds_its_own_figures_and_known_networks() -> None:
    for one in TABLE:
        assert one.low_ms < one.published_ms < one.high_ms
        assert re.fullmatch(r"mobilenet_v\d(_large|_small)?", one.arch)
    assert len({(one.board, one.arch, one.precision) for one in TABLE}) == len(TABLE)
