"""Measuring for real: the tiny bundle, on this machine, in fresh processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgenet.bundle import Bundle
from edgenet.environment import Probe, State
from edgenet.errors import EngineError, MissingPackage
from edgenet.profile import process, worker
from edgenet.profile.measure import measure, sweep
from edgenet.profile.record import Settings
from edgenet.profile.statistics import summarize
from edgenet.profile.worker import Answer, Request

QUICK = Settings(num_runs=5, warmup_runs=1, min_secs=0, frame_width=32, frame_height=24)


class Throttling(Probe):
    """This machine, as if its board were slowed down from the second state on."""

    calls = 0

    def state(self) -> State:
        self.calls += 1
        bits = 0x50000 if self.calls == 1 else 0x70002
        return State(at_s=super().state().at_s, temperature_c=80.0, throttle_bits=bits)


@pytest.mark.parametrize("variant", ["int8.tflite", "fp32.onnx"])
def test_a_variant_is_measured_in_a_process_of_its_own(tiny: Bundle, variant: str) -> None:
    said: list[tuple[str, int, int]] = []
    profile = measure(
        tiny,
        variants=[variant],  # type: ignore[list-item]
        threads=[1],
        settings=QUICK,
        command="edgenet profile tiny",
        progress=lambda *step: said.append(step),
    )
    assert profile.unmeasured == ()
    assert profile.bundle_sha256 == tiny.sha256
    (run,) = profile.runs
    assert (run.variant, run.threads) == (variant, 1)
    assert run.model_bytes == tiny.model(run.variant).stat().st_size
    assert {len(times) for times in run.measured.samples.values()} == {5}
    assert run.stats == {stage: summarize(ms) for stage, ms in run.measured.samples.items()}
    assert min(run.measured.init_ms, run.measured.first_ms, run.stats["invoke"].min_ms) > 0
    for index in range(5):
        one = {stage: times[index] for stage, times in run.measured.samples.items()}
        assert one["preprocess"] + one["invoke"] + one["postprocess"] <= one["total"]
    assert run.measured.memory is not None
    assert 2**20 < run.measured.memory.growth < 2**30
    assert run.measured.memory.before < run.measured.memory.loaded <= run.measured.memory.peak
    assert run.states[0].at_s < 0 < run.states[-1].at_s
    assert said == [
        (f"measuring {variant}, 1 thread", 0, 1),
        (f"measuring {variant}, 1 thread", 1, 1),
    ]


def test_a_throttled_run_is_recorded_as_such(tiny: Bundle) -> None:
    profile = measure(
        tiny,
        variants=["fp32.tflite"],
        threads=[1],
        settings=QUICK,
        command="",
        probe=Throttling(),
    )
    assert profile.runs[0].throttled == ("CPU frequency capped",)
    assert profile.runs[0].states[0].temperature_c == 80.0


def test_operators_are_timed_apart_when_asked_for(tiny: Bundle) -> None:
    settings = Settings(num_runs=3, warmup_runs=1, min_secs=0, op_profile=True)
    profile = measure(
        tiny, variants=["int8.tflite", "int8.onnx"], threads=[1], settings=settings, command=""
    )
    for run in profile.runs:
        assert run.operators_reason is None
        assert run.operators
        assert sum(one.share for one in run.operators) == pytest.approx(1, abs=1e-3)
        assert [one.index for one in run.operators] == list(range(len(run.operators)))


def test_a_broken_model_stops_neither_the_others_nor_the_command(
    tiny: Bundle, tmp_path: Path
) -> None:
    copied = _copy(tiny, tmp_path)
    copied.model("fp32.tflite").write_bytes(b"\0" * tiny.record("fp32.tflite").size)
    profile = measure(
        copied,
        variants=["fp32.tflite", "fp32.onnx"],
        threads=[1],
        settings=QUICK,
        command="",
    )
    assert [run.variant for run in profile.runs] == ["fp32.onnx"]
    (missed,) = profile.unmeasured
    assert (missed.variant, missed.missing) == ("fp32.tflite", False)
    assert "fp32.tflite" in missed.reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
            "died of SIGILL; the engine was",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "died of SIGKILL; most likely"),
        ("raise RuntimeError('no such thing')", "failed: RuntimeError: no such thing"),
        ("raise SystemExit(7)", "failed: status 7"),
    ],
)
def test_a_process_that_dies_is_a_reason(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{sys.executable}\n{code}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    profile = measure(tiny, variants=["int8.tflite"], threads=[1], settings=QUICK, command="")
    assert profile.runs == ()
    assert reason in profile.unmeasured[0].reason


def test_a_process_that_hangs_is_stopped(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\nexec sleep 60\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    monkeypatch.setattr(process, "_GRACE_S", 0.1)
    settings = Settings(min_secs=0, max_secs=0.1)
    profile = measure(tiny, variants=["int8.tflite"], threads=[1], settings=settings, command="")
    assert "was stopped after" in profile.unmeasured[0].reason


def test_files_of_the_current_folder_do_not_hide_modules(
    tiny: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    profile = measure(tiny, variants=["fp32.onnx"], threads=[1], settings=QUICK, command="")
    assert profile.unmeasured == ()


def test_the_sweep_ends_at_all_cores() -> None:
    assert sweep(1) == (1,)
    assert sweep(2) == (1, 2)
    assert sweep(12) == (1, 2, 4, 8, 12)


def _copy(bundle: Bundle, folder: Path) -> Bundle:
    for file in bundle.root.rglob("*"):
        target = folder / "copy" / file.relative_to(bundle.root)
        if file.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return Bundle.open(folder / "copy")


def test_a_missing_engine_is_told_apart_from_a_failure(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(variant: str) -> None:
        raise MissingPackage("LiteRT", "litert", needed_for="running a .tflite model")

    def broken(variant: str) -> None:
        raise EngineError("it does not load")

    request = Request("latency", str(tiny.root), "int8.tflite", 1, QUICK)
    monkeypatch.setattr(worker.runtime, "engine", missing)
    assert worker.answer(request).missing
    monkeypatch.setattr(worker.runtime, "engine", broken)
    assert worker.answer(request) == Answer(error="it does not load", missing=False)
