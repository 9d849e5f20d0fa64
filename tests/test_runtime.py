from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from edgenet import image, runtime
from edgenet.bundle import Bundle
from edgenet.errors import EngineError, MissingPackage, UsageError
from edgenet.runtime import litert, onnx
from edgenet.runtime.litert import LiteRT
from edgenet.runtime.onnx import OnnxRuntime
from edgenet.runtime.quiet import quiet
from edgenet.spec import EXPORTED, TensorSpec

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

TINY = Bundle.open(Path(__file__).parent / "golden" / "tiny")
GOLDEN = TINY.golden()
INT8 = TINY.model("int8.tflite")


def answers(session, variant):
    tensor = TINY.record(variant).inputs[0]
    inputs = [image.as_tensor(pixels, TINY.spec.preprocess, tensor) for pixels in GOLDEN.inputs]
    return np.concatenate([session.run([value])[0] for value in inputs])


# sessions


@pytest.mark.parametrize("variant", EXPORTED)
@pytest.mark.parametrize("threads", [1, 2])
def test_engine_gives_the_golden_answers(variant, threads):
    session = runtime.backend_for(variant).open(TINY.model(variant), threads=threads)
    found = answers(session, variant)
    if variant.startswith("int8"):
        np.testing.assert_array_equal(GOLDEN.outputs[variant], found)
    else:
        np.testing.assert_allclose(GOLDEN.outputs[variant], found, rtol=1e-5, atol=1e-5)


def test_tensor_specs_are_read_from_a_tflite_model():
    session = LiteRT().open(INT8)
    (pixels,), (logits,) = session.inputs, session.outputs
    assert (pixels.shape, pixels.dtype, pixels.axis) == ((1, 16, 16, 3), "int8", None)
    assert (pixels.scale, pixels.zero_point) == ((float(np.float32(1 / 255)),), (-128,))
    assert (logits.shape, logits.dtype) == ((1, 6), "int8")
    assert logits.scale == TINY.record("int8.tflite").outputs[0].scale


def test_tensor_specs_are_read_from_an_onnx_model():
    session = OnnxRuntime().open(TINY.model("fp32.onnx"))
    assert session.inputs == (TensorSpec("input", (1, 16, 16, 3), "float32"),)
    assert session.outputs == (TensorSpec("logits", (1, 6), "float32"),)


@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
def test_input_of_another_shape_is_refused(variant):
    session = runtime.backend_for(variant).open(TINY.model(variant))
    with pytest.raises(ValueError, match=r"mismatch|invalid dimensions"):
        session.run([np.zeros((1, 15, 16, 3), session.inputs[0].dtype)])


@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
def test_every_input_needs_an_array(variant):
    session = runtime.backend_for(variant).open(TINY.model(variant))
    with pytest.raises(ValueError, match="argument"):
        session.run([])


@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
def test_outputs_are_not_overwritten_by_the_next_run(variant):
    session = runtime.backend_for(variant).open(TINY.model(variant))
    black, white = (
        image.as_tensor(np.full((16, 16, 3), value, np.uint8), TINY.spec.preprocess, tensor)
        for tensor in session.inputs
        for value in (0, 255)
    )
    first = session.run([black])[0]
    kept = first.copy()
    assert not np.array_equal(kept, session.run([white])[0])
    np.testing.assert_array_equal(kept, first)


@pytest.mark.parametrize("backend", [LiteRT(), OnnxRuntime()])
def test_threads_start_at_one(backend):
    with pytest.raises(ValueError, match="threads is 0; at least 1 is needed"):
        backend.open(INT8, threads=0)


linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


@linux
@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
def test_threads_are_what_the_engine_starts(variant):
    """Counted as the kernel does; the calling thread is one of them."""

    def running():
        return len(list(Path("/proc/self/task").iterdir()))

    backend, path = runtime.backend_for(variant), TINY.model(variant)
    before = running()
    one = backend.open(path, threads=1)
    assert running() == before
    three = backend.open(path, threads=3)
    assert running() == before + 2
    assert one.inputs == three.inputs


# malformed models


def truncated(path):
    return path.read_bytes()[: path.stat().st_size // 2]


@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
@pytest.mark.parametrize(
    "make",
    [lambda p: b"", lambda p: b"hello, world", truncated],
    ids=["empty", "text", "truncated"],
)
def test_malformed_model_is_refused_by_name_and_in_silence(tmp_path, capfd, variant, make):
    path = tmp_path / variant
    path.write_bytes(make(TINY.model(variant)))
    with pytest.raises(EngineError) as caught:
        runtime.backend_for(variant).open(path)
    package = runtime.available()[runtime.backend_for(variant).name]
    assert str(caught.value).startswith(f"{path}: {package} cannot run it (")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("variant", ["int8.tflite", "int8.onnx"])
def test_missing_model_names_what_is_near(tmp_path, variant):
    (tmp_path / variant).touch()
    with pytest.raises(
        EngineError, match=f"nothing at '.*8{variant[4:]}'; did you mean '.*{variant}"
    ):
        runtime.backend_for(variant).open(tmp_path / variant[3:])


# resolvers and intermediate tensors


@pytest.mark.parametrize(
    ("resolver", "delegated", "rounding"),
    [
        ("auto", True, "float32-half-even"),
        ("reference", False, "gemmlowp-double"),
        ("no-delegate", False, "gemmlowp-double"),
    ],
)
def test_resolver_chooses_the_kernels(resolver, delegated, rounding):
    session = LiteRT(resolver).open(INT8)
    assert session.delegated == delegated
    assert runtime.rounding(session) == rounding
    steps = answers(session, "int8.tflite").astype(int) - GOLDEN.outputs["int8.tflite"]
    assert np.max(np.abs(steps)) <= 2


def test_onnx_runtime_rounds_half_to_even():
    session = OnnxRuntime().open(TINY.model("int8.onnx"))
    assert runtime.rounding(session) == "float32-half-even"


def test_unknown_resolver_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="no resolver 'referense'; did you mean 'reference'"):
        LiteRT("referense")


def test_operators_are_the_models_own_in_order():
    expected = ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
    for resolver in ("auto", "reference"):
        operators = LiteRT(resolver).open(INT8).operators()
        assert [operator.name for operator in operators] == expected
    assert operators[1].inputs[0] == operators[0].outputs[0]


@pytest.mark.parametrize("resolver", ["auto", "reference", "no-delegate"])
def test_every_tensor_can_be_read_when_all_are_preserved(resolver):
    session = LiteRT(resolver, preserve_all=True).open(INT8)
    pixels = image.as_tensor(GOLDEN.inputs[5], TINY.spec.preprocess, session.inputs[0])
    logits = session.run([pixels])[0]
    operators, specs = session.operators(), session.tensor_specs()
    np.testing.assert_array_equal(logits, session.tensor(operators[-1].outputs[0]))
    # MEAN reduces what the last convolution gave: both are still there, and agree.
    features, mean = operators[2].outputs[0], operators[3].outputs[0]
    expected = runtime.dequantize(session.tensor(features), specs[features]).mean((1, 2))
    found = runtime.dequantize(session.tensor(mean), specs[mean]).reshape(1, -1)
    np.testing.assert_allclose(expected, found, atol=specs[mean].scale[0])
    assert specs[operators[0].inputs[1]].axis == 0


def test_intermediate_tensor_that_was_not_preserved_is_refused():
    session = LiteRT().open(INT8)
    session.run([np.zeros((1, 16, 16, 3), np.int8)])
    with pytest.raises(ValueError, match="null"):
        session.tensor(session.operators()[1].outputs[0])


# which package


@pytest.fixture
def packages(monkeypatch):
    """Pretend that only these modules are installed, in these versions."""

    def pretend(**versions):
        litert.engine.cache_clear()
        specs = {name: ModuleSpec(name, None) for name in versions}
        monkeypatch.setattr(litert.importlib.util, "find_spec", specs.get)
        monkeypatch.setattr(
            litert.metadata, "version", lambda package: versions[package.replace("-", "_")]
        )
        for name in ("ai_edge_litert", "tflite_runtime"):
            module = ModuleType(name)
            module.interpreter = ModuleType(f"{name}.interpreter")
            monkeypatch.setitem(sys.modules, name, module)
            monkeypatch.setitem(sys.modules, f"{name}.interpreter", module.interpreter)

    yield pretend
    litert.engine.cache_clear()


def pretend_numpy(monkeypatch, version):
    monkeypatch.setattr(litert, "np", SimpleNamespace(__version__=version, dtype=np.dtype))


def test_litert_is_preferred(packages):
    packages(ai_edge_litert="2.1.0", tflite_runtime="2.14.0")
    module, package = litert.engine()
    assert (module.__name__, package) == ("ai_edge_litert.interpreter", "ai-edge-litert 2.1.0")


def test_tflite_runtime_takes_its_place(packages, monkeypatch):
    packages(tflite_runtime="2.14.0")
    pretend_numpy(monkeypatch, "1.26.4")
    module, package = litert.engine()
    assert (module.__name__, package) == ("tflite_runtime.interpreter", "tflite-runtime 2.14.0")


def test_tflite_runtime_with_numpy_2_is_refused_with_the_fix(packages, monkeypatch):
    packages(tflite_runtime="2.14.0")
    pretend_numpy(monkeypatch, "2.1.0")
    sentence = (
        "tflite-runtime 2.14.0 was built for numpy 1 and crashes with numpy 2.1.0;"
        " run: pip install ai-edge-litert (where that has no wheel: pip install 'numpy<2')"
    )
    with pytest.raises(EngineError) as caught:
        LiteRT().open(INT8)
    assert str(caught.value) == sentence
    assert runtime.available()["litert"] == sentence


def test_neither_package_is_named_with_the_command(packages):
    packages()
    with pytest.raises(MissingPackage, match=r"needs LiteRT, .*pip install 'edgenet\[litert\]'"):
        LiteRT().open(INT8)


def test_package_that_does_not_load_is_named_with_the_reason(packages, monkeypatch):
    packages(ai_edge_litert="2.1.0")

    def fail(name):
        raise ImportError("libfoo.so.1: cannot open shared object file")

    monkeypatch.setattr(litert.importlib, "import_module", fail)
    with pytest.raises(EngineError, match=r"2\.1\.0 is installed but does not load \(libfoo"):
        litert.engine()


def test_missing_onnx_runtime_is_named_with_the_command(monkeypatch):
    onnx.engine.cache_clear()
    monkeypatch.setattr(onnx.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"needs ONNX Runtime, .*'edgenet\[onnx\]'"):
        OnnxRuntime().open(TINY.model("int8.onnx"))
    onnx.engine.cache_clear()


def test_available_engines_are_named_with_their_versions():
    found = runtime.available()
    assert list(found) == ["litert", "onnxruntime", "edgetpu"]
    assert found["litert"].split()[0] in ("ai-edge-litert", "tflite-runtime")
    assert found["onnxruntime"].startswith("onnxruntime 1.")


def test_no_engine_is_imported_before_a_model_is_opened():
    script = """
import sys, edgenet.runtime, edgenet.stream.classify, edgenet.target
print({"ai_edge_litert", "tflite_runtime", "onnxruntime", "cv2", "click"} & set(sys.modules))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert result.stdout == "set()\n"


# silence


@pytest.mark.parametrize("variant", ["int8.tflite", "fp32.tflite", "int8.onnx"])
def test_opening_and_running_prints_nothing(variant):
    script = f"""
from pathlib import Path
import numpy as np
from edgenet import runtime
session = runtime.backend_for({variant!r}).open(Path({str(TINY.model(variant))!r}))
session.run([np.zeros((1, 16, 16, 3), session.inputs[0].dtype)])
"""
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert (result.stdout, result.stderr) == (b"", b"")


def test_what_was_kept_off_the_terminal_is_logged(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with quiet():
        os.write(1, b"to stdout\n")
        os.write(2, b"to stderr\n")
    os.write(2, b"after\n")
    assert caplog.messages == ["to stdout", "to stderr"]
    assert capfd.readouterr() == ("", "after\n")


def test_descriptors_come_back_after_an_error(capfd):
    with pytest.raises(KeyError), quiet():
        raise KeyError
    os.write(1, b"heard\n")
    assert capfd.readouterr().out == "heard\n"


def test_last_of_several_threads_restores_the_descriptors(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with quiet():
            inside.set()
            leave.wait(10)
            os.write(2, b"second\n")

    thread = threading.Thread(target=stay)
    with quiet():
        thread.start()
        assert inside.wait(10)
        os.write(2, b"first\n")
    leave.set()
    thread.join()
    os.write(2, b"after\n")
    assert caplog.messages == ["first", "second"]
    assert capfd.readouterr().err == "after\n"


@linux
def test_no_descriptor_is_left_open():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with quiet():
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_closed_standard_error_is_no_obstacle():
    script = """
import os
os.close(2)
from edgenet.runtime.quiet import quiet
with quiet():
    os.write(1, b"hidden")
os.write(1, b"heard")
"""
    result = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
    assert result.stdout == b"heard"


# dequantization


def test_dequantized_is_scale_times_distance_from_the_zero_point():
    tensor = TensorSpec("t", (1, 3), "int8", (0.5,), (-128,))
    values = runtime.dequantize(np.int8([[-128, -127, 127]]), tensor)
    assert values.dtype == np.float32
    np.testing.assert_array_equal([[0, 0.5, 127.5]], values)


def test_dequantization_per_channel_runs_along_its_axis():
    tensor = TensorSpec("t", (2, 3), "int8", (1.0, 10.0, 100.0), (0, 1, 2), axis=1)
    values = runtime.dequantize(np.int8([[1, 1, 1], [2, 2, 2]]), tensor)
    np.testing.assert_array_equal([[1, 0, -100], [2, 10, 0]], values)


def test_float_tensor_is_left_as_it_is():
    values = np.float32([1.5])
    assert runtime.dequantize(values, TensorSpec("t", (1,), "float32")) is values


def test_integers_without_a_scale_cannot_be_dequantized():
    with pytest.raises(ValueError, match="tensor 't' is int8 without a scale"):
        runtime.dequantize(np.int8([1]), TensorSpec("t", (1,), "int8"))
