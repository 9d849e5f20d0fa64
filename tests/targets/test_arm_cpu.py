"""The faster of two engines: measured once, remembered beside and never inside the bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgenet import target
from edgenet.bundle import Bundle
from edgenet.environment import usable_cores
from edgenet.errors import MissingPackage, TargetError, UsageError
from edgenet.runner import Frame

TINY = Bundle.open(Path(__file__).parent.parent / "golden" / "tiny")
ARM = target.load("arm_cpu")

if ARM.missing() or target.load("pc").missing():
    pytest.skip("both engines are needed", allow_module_level=True)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    """The state directory."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def fastest(monkeypatch):
    """The module that measures, with a clock that a test sets: milliseconds by variant."""
    ARM.runner(TINY)  # imports the target's modules
    module = __import__(f"{ARM.package}.fastest", fromlist=["fastest"])
    times = {"int8.tflite": 3.0, "int8.onnx": 2.0, "fp32.tflite": 9.0, "fp32.onnx": 8.0}
    calls = []

    def measure(bundle, variants, *, threads):
        calls.append((tuple(variants), threads))
        return {variant: times[variant] for variant in variants}

    module.measured, module.times = calls, times
    monkeypatch.setattr(module, "measure", measure)
    return module


def prepared(tmp_path, **options):
    runner = ARM.runner(TINY, **options)
    runner.prepare(tmp_path)
    return runner


def test_faster_engine_is_chosen_and_remembered(fastest, tmp_path, state):
    first = prepared(tmp_path)
    assert first.variant == "int8.onnx"
    assert first.notes == (
        "int8.onnx is the fastest here, as measured now: int8.onnx 2.00 ms, int8.tflite 3.00 ms;"
        " --backend chooses otherwise",
    )
    second = prepared(tmp_path)
    assert second.variant == "int8.onnx"
    assert "as measured before" in second.notes[0]
    assert fastest.measured == [(("int8.tflite", "int8.onnx"), usable_cores())]
    file = state / "edgenet" / "bundles" / TINY.sha256[:16] / "backend.json"
    assert json.loads(file.read_text())["ms"] == {"int8.onnx": 2.0, "int8.tflite": 3.0}


def test_bundle_stays_as_it_is(fastest, tmp_path):
    root = Path(shutil.copytree(TINY.root, tmp_path / "tiny"))
    before = sorted(path for path in root.rglob("*"))
    ARM.runner(Bundle.open(root)).prepare(tmp_path)
    assert sorted(path for path in root.rglob("*")) == before


@pytest.mark.parametrize("change", ["threads", "machine", "engine", "damage"])
def test_what_was_measured_elsewhere_is_measured_again(
    fastest, monkeypatch, tmp_path, state, change
):
    prepared(tmp_path, threads=1)
    threads = 1
    if change == "threads":
        threads = 2
    elif change == "machine":
        monkeypatch.setattr(fastest, "_machine", lambda: "another board")
    elif change == "engine":
        monkeypatch.setattr(fastest.runtime, "check", lambda variant: "litert 99")
    else:
        (file,) = state.rglob("backend.json")
        file.write_bytes(file.read_bytes()[:-20])
    fastest.times["int8.tflite"] = 1.0
    assert prepared(tmp_path, threads=threads).variant == "int8.tflite"
    assert len(fastest.measured) == 2


def test_service_keeps_it_where_systemd_says(fastest, monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'var'}:{tmp_path / 'other'}")
    prepared(tmp_path)
    assert [path.name for path in (tmp_path / "var").rglob("*.json")] == ["backend.json"]


def test_folder_that_cannot_be_written_costs_a_measurement_and_no_more(
    fastest, tmp_path, state, caplog
):
    state.write_text("a file where the folder should be")
    assert prepared(tmp_path).variant == "int8.onnx"
    assert prepared(tmp_path).variant == "int8.onnx"
    assert len(fastest.measured) == 2
    assert "cannot be written (Not a directory); the next run measures again" in caplog.text


@pytest.mark.parametrize(("backend", "variant"), [("litert", "int8.tflite"), ("onnx", "int8.onnx")])
def test_backend_forces(fastest, tmp_path, backend, variant):
    runner = prepared(tmp_path, backend=backend)
    assert (runner.variant, runner.notes) == (variant, ())
    assert fastest.measured == []


def test_variant_forces(fastest, tmp_path):
    assert prepared(tmp_path, variant="fp32.onnx").variant == "fp32.onnx"
    assert fastest.measured == []


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(UsageError, match="no backend 'litrt'; did you mean 'litert'"):
        ARM.runner(TINY, backend="litrt")
    with pytest.raises(UsageError, match=r"the backend onnx does not run int8\.tflite"):
        ARM.runner(TINY, backend="onnx", variant="int8.tflite")
    with pytest.raises(TargetError, match=r"arm_cpu runs .*, not int8_edgetpu\.tflite"):
        ARM.runner(TINY, variant="int8_edgetpu.tflite")


def with_models(tmp_path, *variants):
    root = Path(shutil.copytree(TINY.root, tmp_path / "part"))
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["models"] = {name: manifest["models"][name] for name in variants}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return Bundle.open(root)


def test_bundle_without_a_model_for_the_backend_is_refused(tmp_path):
    part = with_models(tmp_path, "int8.tflite")
    with pytest.raises(TargetError, match=r"holds int8\.tflite, none of which the backend onnx"):
        ARM.runner(part, backend="onnx")


def test_float_models_are_compared_where_there_is_no_int8(fastest, tmp_path):
    part = with_models(tmp_path, "fp32.tflite", "fp32.onnx")
    runner = ARM.runner(part)
    runner.prepare(tmp_path)
    assert runner.variant == "fp32.onnx"


def test_engine_that_is_not_installed_is_passed_over(fastest, monkeypatch, tmp_path):
    def check(variant):
        if variant.endswith(".onnx"):
            raise MissingPackage("ONNX Runtime", "onnx", needed_for="running a .onnx model")
        return "litert 2"

    monkeypatch.setattr(fastest.runtime, "check", check)
    assert prepared(tmp_path).variant == "int8.tflite"
    with pytest.raises(MissingPackage, match="needs ONNX Runtime"):
        ARM.runner(TINY, backend="onnx")


def test_real_measurement_gives_a_time_for_each(monkeypatch, tmp_path):
    ARM.runner(TINY)
    module = __import__(f"{ARM.package}.fastest", fromlist=["fastest"])
    monkeypatch.setattr(module, "SECONDS", 0.02)
    runner = prepared(tmp_path)
    assert runner.variant in ("int8.tflite", "int8.onnx")
    (prediction,) = runner.run([Frame(0, 0.0, TINY.golden().frames[0])])
    assert prediction.logits.shape == (6,)
    assert set(module.measure(TINY, ["int8.tflite"], threads=1)) == {"int8.tflite"}
