"""The coral target on a stand-in for libedgetpu, from the compiled model to an answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from coral import build_standin, channel_max, compiled

from edgenet import bundle, target
from edgenet.bundle import Bundle, Golden
from edgenet.errors import EngineError, MissingDevice, TargetError, UsageError
from edgenet.runner import Frame
from edgenet.runtime import edgetpu, edgetpu_device
from edgenet.spec import FOREIGN, ModelSpec, Preprocess, TensorSpec
from edgenet.verify import verify

CORAL = target.load("coral")
TINY = Bundle.open(Path(__file__).parent.parent / "golden" / "tiny")

if CORAL.missing():
    pytest.skip(f"coral lacks {', '.join(CORAL.missing())} here", allow_module_level=True)


@pytest.fixture(scope="session")
def standin(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed; run scripts/setup --tools")
    return str(build_standin(tmp_path_factory.mktemp("standin")))


@pytest.fixture
def library(monkeypatch, standin):
    edgetpu.attempt.cache_clear()
    monkeypatch.setenv("EDGENET_LIBEDGETPU", standin)


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.delenv("EDGENET_LIBEDGETPU", raising=False)
    monkeypatch.setattr(edgetpu_device, "library", lambda name: None)


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A bundle of the int8 model alone, as export writes it where there is no compiler."""
    frames = np.random.default_rng(3).integers(0, 256, (4, 16, 16, 3), np.uint8)
    takes = TensorSpec("t0", (1, 8, 8, 3), "int8", (float(np.float32(1 / 255)),), (-128,))
    gives = TensorSpec("t3", (1, 3), "int8", (float(np.float32(1 / 255)),), (-128,))
    from edgenet import image

    preprocess = Preprocess(8, 8)
    inputs = np.stack([image.fit(frame, preprocess) for frame in frames])
    answers = (inputs.max(axis=(1, 2)).astype(int) - 128).astype(np.int8)
    return bundle.write(
        tmp_path_factory.mktemp("bundle") / "plain",
        name="largest",
        target="coral",
        spec=ModelSpec(FOREIGN, 1.0, ("red", "green", "blue"), preprocess),
        models={"int8.tflite": channel_max()},
        tensors={"int8.tflite": ((takes,), (gives,))},
        golden=Golden(frames, inputs, {"int8.tflite": answers}),
        calibration=None,
        drift=None,
        versions={},
        command="",
    )


@pytest.fixture(scope="session")
def whole(plain, tmp_path_factory):
    """The same with the compiled model."""
    return bundle.add_model(
        plain,
        "int8_edgetpu.tflite",
        compiled(channel_max()),
        tmp_path_factory.mktemp("bundle") / "whole",
        versions={"edgetpu_compiler": "16.0"},
    )


RED = np.zeros((16, 16, 3), np.uint8)
RED[2, 3] = (250, 20, 10)


def test_compiled_model_answers_on_the_device(library, whole, tmp_path):
    runner = CORAL.runner(whole)
    assert runner.variant == "int8_edgetpu.tflite"
    runner.prepare(tmp_path)
    assert len(runner.notes) == 1
    assert runner.notes[0].startswith("first inference ")
    assert runner.notes[0].endswith(" ms: it sent the weights; no frame waits for that")
    (prediction,) = runner.run([Frame(0, 0.0, RED)])
    assert np.argmax(prediction.logits) == 0
    assert list(prediction.stage_ms) == ["preprocess", "invoke", "postprocess"]
    runner.close()


def test_verify_proves_the_device(library, whole, monkeypatch):
    found = {(c.stage, c.variant): c for c in verify(whole)}
    assert found["logits", "int8_edgetpu.tflite"].status == "equal"
    assert found["logits", "int8_edgetpu.tflite"].detail.startswith("edgetpu ")
    monkeypatch.setenv("EDGETPU_STANDIN_STEPS", "3")
    found = {(c.stage, c.variant): c for c in verify(whole)}
    check = found["logits", "int8_edgetpu.tflite"]
    assert check.status == "other rounding"
    assert "by up to 3 steps: it rounds edgetpu, the golden logits as a CPU does" in check.detail
    monkeypatch.setenv("EDGETPU_STANDIN_STEPS", "5")
    found = {(c.stage, c.variant): c for c in verify(whole)}
    assert found["logits", "int8_edgetpu.tflite"].status == "differs"


def test_verify_without_a_device_skips_its_model(no_library, whole):
    found = {(c.stage, c.variant): c for c in verify(whole)}
    assert found["logits", "int8_edgetpu.tflite"].status == "skipped"
    assert found["logits", "int8.tflite"].status == "equal"


@pytest.mark.parametrize("options", [{"backend": "cpu"}, {"variant": "int8.tflite"}])
def test_cpu_runs_when_it_is_asked_for(no_library, whole, tmp_path, options):
    runner = CORAL.runner(whole, **options)
    assert runner.variant == "int8.tflite"
    assert runner.notes == ("int8.tflite runs on the CPU, as asked for; no Edge TPU takes part",)
    runner.prepare(tmp_path)
    (prediction,) = runner.run([Frame(0, 0.0, RED)])
    assert np.argmax(prediction.logits) == 0


def test_cpu_never_runs_unasked(no_library, whole, plain):
    sentence = r"needs libedgetpu\.so\.1, .*; or run on the CPU, with --backend cpu"
    with pytest.raises(MissingDevice, match=sentence):
        CORAL.runner(whole)
    with pytest.raises(MissingDevice):
        CORAL.choose(whole)
    sentence = "no model compiled for the Edge TPU; edgenet check .* --backend cpu runs what is"
    with pytest.raises(TargetError, match=sentence):
        CORAL.runner(plain)


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        ("crash", EngineError, "crashes with SIGABRT"),
        ("absent", MissingDevice, "no Edge TPU is plugged in"),
    ],
)
def test_device_that_fails_says_what_to_do(
    library, monkeypatch, whole, tmp_path, behaviour, kind, words
):
    monkeypatch.setenv("EDGETPU_STANDIN", behaviour)
    monkeypatch.setattr(edgetpu_device, "devices", lambda: ())
    runner = CORAL.runner(whole)
    with pytest.raises(kind, match=f"{words}.*; or run on the CPU, with --backend cpu"):
        runner.prepare(tmp_path)


def test_what_does_not_fit_together_is_refused(whole):
    with pytest.raises(UsageError, match="no backend 'tpu'"):
        CORAL.runner(whole, backend="tpu")
    with pytest.raises(UsageError, match=r"the backend cpu does not run int8_edgetpu\.tflite"):
        CORAL.runner(whole, backend="cpu", variant="int8_edgetpu.tflite")
    with pytest.raises(TargetError, match=r"coral runs .*, not fp32\.onnx"):
        CORAL.runner(TINY, variant="fp32.onnx")


def test_no_module_of_ours_needs_pycoral():
    root = Path(target.__file__).parent
    for path in (*root.rglob("*.py"), *(root.parent / "targets").rglob("*.py")):
        assert "pycoral" not in path.read_text(encoding="utf-8"), path
