from __future__ import annotations

from edgenet.profile.recommend import recommend, recommended

from .conftest import MakeProfile, MakeRun


def test_a_thread_that_buys_little_is_left_to_the_camera(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    # totals are 1.6 ms more: 11.6, 6.6, 6.4
    runs = [make_run(threads=count, invoke=[ms]) for count, ms in ((1, 10.0), (2, 5.0), (4, 4.8))]
    found = recommend(make_profile(*runs))
    assert found is not None
    assert (found.variant, found.threads, found.p50_ms) == ("int8.tflite", 2, 6.6)
    assert "1.76 times as fast as with 1 thread" in found.why
    assert "4 threads would save 3% and leave fewer cores to the camera" in found.why


def test_threads_that_pay_are_recommended(make_run: MakeRun, make_profile: MakeProfile) -> None:
    runs = [make_run(threads=count, invoke=[ms]) for count, ms in ((1, 10.0), (2, 5.0), (4, 3.0))]
    best = recommended(make_profile(*runs))
    assert best is not None
    assert best.threads == 4


def test_more_threads_that_are_slower_are_said_to_be(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = [make_run(threads=count, invoke=[ms]) for count, ms in ((1, 2.0), (2, 9.0))]
    found = recommend(make_profile(*runs))
    assert found is not None
    assert found.threads == 1
    assert found.why == "2 threads are no faster"


def test_the_next_best_model_is_named(make_run: MakeRun, make_profile: MakeProfile) -> None:
    runs = make_run(invoke=[2.0]), make_run("int8.onnx", invoke=[5.6])
    found = recommend(make_profile(*runs))
    assert found is not None
    assert found.why == "next best is int8.onnx, 1 thread, 2.00 times as long"


def test_a_throttled_run_is_recommended_only_where_there_is_no_other(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    slow = make_run(invoke=[2.0], throttled=("throttled",))
    found = recommend(make_profile(slow, make_run("fp32.onnx", invoke=[9.0])))
    assert found is not None
    assert (found.variant, found.throttled, found.why) == ("fp32.onnx", False, "")
    alone = recommend(make_profile(slow))
    assert alone is not None
    assert (alone.variant, alone.throttled) == ("int8.tflite", True)


def test_nothing_measured_is_nothing_recommended(make_profile: MakeProfile) -> None:
    from edgenet.profile.record import Unmeasured

    assert recommend(make_profile(unmeasured=[Unmeasured("a", 1, "", True)])) is None
