from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgenet.cli.main import main
from edgenet.environment import State
from edgenet.errors import LimitExceeded, RecordError
from edgenet.profile.bootstrap import ratio_interval
from edgenet.profile.compare import Comparison, compare, judge
from edgenet.profile.profiles import HostProfile, of
from edgenet.profile.profiles import encode as encode_several
from edgenet.profile.record import Profile, encode
from edgenet.report import profile_compare

from .conftest import PI5, MakeProfile, MakeRun, MakeSustained

NAMES = ("old.json", "new.json")
GENERATOR = np.random.default_rng(0)


def noisy(ms: float, count: int = 200, seed: int = 0) -> list[float]:
    return list(ms * np.random.default_rng(seed).normal(1.0, 0.02, count))


def test_the_ratio_is_of_the_medians_with_an_interval_around_it(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    first = make_profile(make_run(invoke=noisy(4.0)))
    second = make_profile(make_run(invoke=noisy(5.0, seed=1)))
    (one,) = compare(first, second, names=NAMES).ratios
    medians = [profile.runs[0].stats["invoke"].p50_ms for profile in (first, second)]
    assert one.ratio == pytest.approx(medians[1] / medians[0], abs=1e-6)
    assert 1.23 < one.low < one.ratio < one.high < 1.27


@pytest.mark.slow
def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        low, high = ratio_interval(noisy(4.0, 60, seed), noisy(4.4, 60, 1000 + seed))
        held += low <= 1.1 <= high
    assert held >= 88


def test_neighbours_that_are_alike_widen_the_interval() -> None:
    steps = np.repeat(GENERATOR.normal(4.0, 0.2, 40), 25)
    mixed = GENERATOR.permutation(steps)
    other = noisy(4.0, 1000)
    wide, narrow = ratio_interval(other, list(steps)), ratio_interval(other, list(mixed))
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_a_long_series_and_a_single_sample_have_intervals_too() -> None:
    assert ratio_interval([2.0] * 50_000, [3.0] * 50_000) == (1.5, 1.5)
    assert ratio_interval([2.0], [3.0]) == (1.5, 1.5)


def test_only_what_both_have_is_compared(make_run: MakeRun, make_profile: MakeProfile) -> None:
    first = make_profile(make_run(), make_run("fp32.onnx", 2))
    second = make_profile(make_run(), make_run(threads=4))
    found = compare(first, second, names=NAMES)
    assert [(one.variant, one.threads) for one in found.ratios] == [("int8.tflite", 1)]
    assert found.only_first == ("fp32.onnx, 2 threads",)
    assert found.only_second == ("int8.tflite, 4 threads",)


def test_nothing_in_common_is_refused_with_what_there_is(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    first, second = make_profile(make_run(threads=1)), make_profile(make_run(threads=2))
    with pytest.raises(RecordError, match=r"no run in common \(int8.tflite, 1 thread against"):
        compare(first, second, names=NAMES)


def test_another_stage_can_be_compared(make_run: MakeRun, make_profile: MakeProfile) -> None:
    first, second = make_profile(make_run(invoke=[2.0])), make_profile(make_run(invoke=[4.0]))
    (one,) = compare(first, second, names=NAMES, stage="preprocess").ratios
    assert one.ratio == 1.0


def test_sustained_runs_are_compared_too(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    first = make_profile(sustained=make_sustained())
    second = make_profile(sustained=make_sustained(kept=6.0))
    found = compare(first, second, names=NAMES)
    assert [(one.part, one.ratio) for one in found.ratios] == [("run", 1.0), ("sustained", 2.0)]
    assert "int8.tflite (sustained)" in profile_compare.text(found)
    other = make_profile(sustained=make_sustained(threads=1))
    assert [one.part for one in compare(first, other, names=NAMES).ratios] == ["run"]


def pair(make_run: MakeRun, make_profile: MakeProfile, **changes: Any) -> tuple[Profile, Profile]:
    governed = State(-1.0, governor="performance")
    first = make_profile(make_run(states=[governed]))
    return first, make_profile(make_run(states=[governed]), **changes)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"machine": msgspec.structs.replace(PI5, board="Raspberry Pi 4")}, "board"),
        ({"machine": msgspec.structs.replace(PI5, cores=2)}, "cores"),
        ({"machine": msgspec.structs.replace(PI5, emulator="QEMU")}, "emulation"),
        ({"competitors": ("edgenet.service",)}, "competing services"),
    ],
)
def test_another_machine_or_state_makes_a_limit_impossible(
    make_run: MakeRun, make_profile: MakeProfile, changes: dict[str, Any], what: str
) -> None:
    found = compare(*pair(make_run, make_profile, **changes), names=NAMES)
    assert [one.what for one in found.differences if one.fatal] == [what]
    with pytest.raises(RecordError, match=f"no limit can be judged.*{what}"):
        judge(found, 2.0)
    judge(found, 2.0, anyway=True)
    assert f"not comparable: {what}:" in profile_compare.text(found)


def test_another_governor_makes_a_limit_impossible(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    first = make_profile(make_run(states=[State(-1.0, governor="performance")]))
    second = make_profile(make_run(states=[State(-1.0, governor="ondemand")]))
    found = compare(first, second, names=NAMES)
    (one,) = found.differences
    assert (one.what, one.first, one.second, one.fatal) == (
        *("governor", "performance", "ondemand"),
        True,
    )


def test_a_throttled_run_is_marked_and_makes_a_limit_impossible(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    first = make_profile(make_run())
    second = make_profile(make_run(throttled=("under-voltage",)))
    found = compare(first, second, names=NAMES)
    assert found.ratios[0].second_throttled == ("under-voltage",)
    text = profile_compare.text(found)
    assert "THROTTLED (second: under-voltage)" in text
    assert "not comparable: throttling: none against under-voltage in 1 of 1 runs" in text
    with pytest.raises(RecordError, match="throttling"):
        judge(found, 2.0)


def test_another_model_or_engine_is_told_and_can_be_judged(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    def run(sha256: str, version: str) -> Any:
        return msgspec.structs.replace(make_run(engine_version=version), model_sha256=sha256)

    first, second = make_profile(run("a" * 64, "2.3.0")), make_profile(run("b" * 64, "2.4.0"))
    found = compare(first, second, names=NAMES)
    assert [(one.what, one.fatal) for one in found.differences] == [
        ("engine of int8.tflite", False),
        ("model int8.tflite", False),
    ]
    judge(found, 1.1)
    assert "differs: model int8.tflite: sha256 aaaaaaaaaaaa against sha256 bbbbbbbbbbbb" in (
        profile_compare.text(found)
    )


def test_records_without_a_models_hash_are_told_apart_by_their_bundle(
    make_profile: MakeProfile,
) -> None:
    found = compare(make_profile(), make_profile(bundle_sha256="cd" * 32), names=NAMES)
    assert found.differences[0].first == "of bundle abababababab"


def test_a_ratio_above_the_limit_is_named(make_run: MakeRun, make_profile: MakeProfile) -> None:
    first, second = make_profile(make_run(invoke=[2.0])), make_profile(make_run(invoke=[3.0]))
    found = compare(first, second, names=NAMES)
    judge(found, 1.5)
    with pytest.raises(
        LimitExceeded, match=r"int8.tflite, 1 thread takes 1.500 times .* above 1.49"
    ):
        judge(found, 1.49)


@pytest.mark.parametrize(
    ("times", "verdict"),
    [(noisy(5.0), "slower"), (noisy(3.0), "faster"), (noisy(4.0, seed=2), "no difference seen")],
)
def test_the_verdict_is_by_the_interval(
    make_run: MakeRun, make_profile: MakeProfile, times: list[float], verdict: str
) -> None:
    first, second = make_profile(make_run(invoke=noisy(4.0))), make_profile(make_run(invoke=times))
    assert verdict in profile_compare.text(compare(first, second, names=NAMES))


@pytest.fixture
def files(tmp_path: Path, make_run: MakeRun, make_profile: MakeProfile) -> tuple[Path, Path]:
    """Two records; the second is slower by a half."""
    paths = tmp_path / "a.json", tmp_path / "b.json"
    for path, ms in zip(paths, (2.0, 3.0), strict=True):
        path.write_bytes(encode(make_profile(make_run(invoke=[ms] * 20))))
    return paths


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_the_command_prints_a_table(files: tuple[Path, Path]) -> None:
    done = typed(*files)
    assert done.exit_code == 0
    assert f"{files[1]} (second) over {files[0]} (first): medians of invoke" in done.stdout
    assert "2.000      3.000  1.500  1.500 to 1.500  slower" in done.stdout


def test_the_command_prints_json(files: tuple[Path, Path]) -> None:
    done = typed(*files, "--json")
    found = msgspec.json.decode(done.stdout, type=Comparison)
    assert (found.kind, found.ratios[0].ratio) == ("comparison", 1.5)


@pytest.mark.parametrize(("limit", "code"), [(1.5, 0), (1.4, 3)])
def test_a_broken_limit_ends_with_3(files: tuple[Path, Path], limit: float, code: int) -> None:
    done = typed(*files, "--max-ratio", limit)
    assert done.exit_code == code
    assert "1.500" in done.stdout


def test_a_limit_that_cannot_be_judged_ends_with_1(
    files: tuple[Path, Path], make_run: MakeRun, make_profile: MakeProfile
) -> None:
    slow = make_profile(make_run(invoke=[9.0] * 20, throttled=("throttled",)))
    files[1].write_bytes(encode(slow))
    done = typed(*files, "--max-ratio", 1.1)
    assert done.exit_code == 1
    assert "or add --anyway" in done.stderr
    assert typed(*files, "--max-ratio", 1.1, "--anyway").exit_code == 3


def test_a_record_of_several_machines_is_refused_with_their_names(
    files: tuple[Path, Path], make_profile: MakeProfile
) -> None:
    several = of(HostProfile("pi@a", make_profile()), HostProfile("pi@b", make_profile()))
    files[0].write_bytes(encode_several(several))
    done = typed(*files)
    assert done.exit_code == 1
    assert "holds the profiles of several machines (pi@a, pi@b)" in done.stderr
    assert "edgenet profile a.json --host HOST --json" in done.stderr


@pytest.mark.parametrize("content", [None, b"{}", b"[1", b"\xff"])
def test_what_is_no_record_is_refused(files: tuple[Path, Path], content: bytes | None) -> None:
    files[0].unlink() if content is None else files[0].write_bytes(content)
    done = typed(*files)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {files[0]} ")
    assert done.stdout == ""


def test_a_value_that_is_not_allowed_ends_with_2(files: tuple[Path, Path]) -> None:
    assert typed(*files, "--max-ratio", 0).exit_code == 2
    assert typed(*files, "--stage", "invok").exit_code == 2
    assert json.loads(typed(*files, "--json", "--stage", "total").stdout)["stage"] == "total"
