from __future__ import annotations

import msgspec
import pytest

from edgenet.environment import Machine, State
from edgenet.profile.advice import notes
from edgenet.profile.recommend import fastest
from edgenet.profile.record import Operator, Unmeasured

from .conftest import PI5, MakeProfile, MakeRun

PI4 = msgspec.structs.replace(PI5, cpu="4x Cortex-A72", features=("asimd",))
PERFORMANCE = State(-1.0, governor="performance", load=0.1)


def said(profile: object) -> str:
    return "\n".join(notes(profile))  # type: ignore[arg-type]


def test_a_good_run_needs_no_note(make_run: MakeRun, make_profile: MakeProfile) -> None:
    runs = make_run("int8.tflite", states=[PERFORMANCE]), make_run("fp32.tflite", invoke=[9.0])
    assert notes(make_profile(*runs)) == []


def test_a_throttled_run_is_named_with_its_reason(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    profile = make_profile(make_run(threads=4, throttled=("under-voltage", "throttled")))
    assert "int8.tflite, 4 threads ran while the board was slowed down" in said(profile)
    assert "(under-voltage, throttled)" in said(profile)


def test_int8_slower_than_float_is_put_down_to_the_missing_dot_product(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = make_run("int8.tflite", invoke=[6.0]), make_run("fp32.tflite", invoke=[4.0])
    text = said(make_profile(*runs, machine=PI4))
    assert "int8 takes 1.50 times as long as float32 (6.000 against 4.000 ms)" in text
    assert "4x Cortex-A72 has no int8 dot product (asimddp, i8mm)" in text
    assert "dot product" not in said(make_profile(*runs, machine=PI5))
    assert "--op-profile" in said(make_profile(*runs, machine=PI5))


def test_int8_that_is_faster_is_not_remarked_on(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = make_run("int8.tflite", invoke=[4.0]), make_run("fp32.tflite", invoke=[6.0])
    assert "float32" not in said(make_profile(*runs, machine=PI4))


def test_formats_and_thread_counts_are_not_mixed_up(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = (
        make_run("int8.tflite", 1, invoke=[6.0]),
        make_run("fp32.onnx", 1, invoke=[4.0]),
        make_run("fp32.tflite", 2, invoke=[4.0]),
    )
    assert "float32" not in said(make_profile(*runs, machine=PI4))


def test_conversions_left_in_the_graph_are_a_cause(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    operators = tuple(Operator(n, "DequantizeLinear", "", 0.1, 0.1) for n in range(4))
    slow = make_run("int8.onnx", invoke=[6.0], operators=operators)
    text = said(make_profile(slow, make_run("fp32.onnx", invoke=[4.0])))
    assert "4 conversions between int8 and float32 are left in the graph (40% of its time)" in text


def test_too_many_threads_for_the_work_are_a_cause(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = (
        make_run("int8.tflite", 1, invoke=[2.0]),
        make_run("fp32.tflite", 1, invoke=[4.0]),
        make_run("int8.tflite", 4, invoke=[3.5]),
        make_run("fp32.tflite", 4, invoke=[3.0]),
    )
    text = said(make_profile(*runs))
    assert "int8.tflite, 4 threads: int8 takes 1.17 times" in text
    assert "too little to share among 4 threads" in text


def test_tflite_runtime_is_a_cause(make_run: MakeRun, make_profile: MakeProfile) -> None:
    slow = make_run("int8.tflite", invoke=[6.0], engine="tflite-runtime")
    text = said(make_profile(slow, make_run("fp32.tflite", invoke=[4.0])))
    assert "tflite-runtime runs parts of int8 models without XNNPACK" in text


@pytest.mark.parametrize(
    ("machine", "measured", "words"),
    [
        (PI5, {"delegated": False}, "the XNNPACK delegate is missing"),
        (msgspec.structs.replace(PI5, cores=1), {}, "there is a single core"),
        (
            msgspec.structs.replace(
                PI5, cpu="ARM1176JZF-S", architecture="armv6l", features=(), cores=1
            ),
            {},
            "ARM1176JZF-S has no vector instructions (NEON)",
        ),
    ],
    ids=["no delegate", "one core", "no NEON"],
)
def test_int8_slower_than_float_is_put_down_to_what_the_machine_lacks(
    make_run: MakeRun,
    make_profile: MakeProfile,
    machine: Machine,
    measured: dict[str, object],
    words: str,
) -> None:
    slow = make_run("int8.tflite", invoke=[6.0], **measured)
    floating = make_run("fp32.tflite", invoke=[4.0])
    assert words in said(make_profile(slow, floating, machine=machine))
    sound = make_run("int8.tflite", invoke=[6.0], delegated=True)
    assert words not in said(make_profile(sound, floating, machine=PI5))


def test_an_emulated_machine_is_told_before_all_else(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    emulated = msgspec.structs.replace(PI5, emulator="QEMU")
    profile = make_profile(make_run(throttled=("throttled",)), machine=emulated)
    assert notes(profile)[0].startswith("this machine is emulated (QEMU): its timings mean nothing")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(-1.0, governor="ondemand"), "governor is ondemand"),
        (State(-1.0, load=3.5), "load 3.5 on 4 cores"),
    ],
)
def test_conditions_that_spoil_figures_are_told(
    make_run: MakeRun, make_profile: MakeProfile, state: State, words: str
) -> None:
    assert words in said(make_profile(make_run(states=[state])))


def test_a_containers_limit_and_too_many_threads_are_told(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    limited = msgspec.structs.replace(PI5, quota=1.5)
    text = said(make_profile(make_run(threads=8), machine=limited))
    assert "limits this process to 1.5 of 4 cores" in text
    assert "8 threads on 4 cores" in text


def test_what_was_not_measured_comes_first(make_run: MakeRun, make_profile: MakeProfile) -> None:
    missed = Unmeasured("int8.onnx", 2, "no engine here", True)
    profile = make_profile(make_run(throttled=("throttled",)), unmeasured=[missed])
    assert notes(profile)[0] == "int8.onnx, 2 threads was not measured: no engine here"


def test_the_fastest_is_by_the_time_from_picture_to_answer(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = make_run("fp32.tflite", invoke=[3.0]), make_run("int8.tflite", invoke=[2.0])
    best = fastest(make_profile(*runs).runs)
    assert best is not None
    assert best.variant == "int8.tflite"
    assert fastest(()) is None
