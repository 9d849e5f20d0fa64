from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet import image
from edgenet.bundle import Bundle
from edgenet.errors import BundleError
from edgenet.runner import Frame
from edgenet.runtime.litert import LiteRT
from edgenet.spec import EXPORTED, TensorSpec
from edgenet.stream.ahead import Ahead, Fitted
from edgenet.stream.classify import Classifier, _reals, probabilities
from edgenet.stream.runner import InProcess

for engine in ("ai_edge_litert", "onnxruntime", "cv2"):
    pytest.importorskip(engine, reason=f"{engine} is not installed")

TINY = Bundle.open(Path(__file__).parent / "golden" / "tiny")
GOLDEN = TINY.golden()


@pytest.mark.parametrize("variant", EXPORTED)
def test_frames_are_classified_as_the_golden_outputs_say(variant):
    classifier = Classifier.open(TINY, variant)
    (tensor,) = TINY.record(variant).outputs
    for index, (rgb, raw) in enumerate(zip(GOLDEN.frames, GOLDEN.outputs[variant], strict=True)):
        prediction = classifier(Frame(index, 0.0, rgb, name="n"))
        if tensor.dtype == "float32":
            expected = raw
        else:
            expected = tensor.scale[0] * (raw.astype(float) - tensor.zero_point[0])
        np.testing.assert_allclose(prediction.logits, expected, rtol=1e-5, atol=1e-5)
        assert prediction.logits.dtype == np.float32
        assert (prediction.frame, prediction.name, np.argmax(prediction.logits)) == (
            index,
            "n",
            index,
        )


def test_stages_are_timed_apart():
    prediction = Classifier.open(TINY, "int8.tflite")(Frame(0, 0.0, GOLDEN.frames[0]))
    assert list(prediction.stage_ms) == ["preprocess", "invoke", "postprocess"]
    assert min(prediction.stage_ms.values()) > 0


def test_preparing_and_running_can_be_called_apart():
    classifier = Classifier.open(TINY, "int8.tflite")
    prepared = classifier.prepare(GOLDEN.frames[1])
    np.testing.assert_array_equal(GOLDEN.inputs[1].astype(int) - 128, prepared[0])
    whole = classifier(Frame(0, 0.0, GOLDEN.frames[1])).logits
    np.testing.assert_array_equal(whole, classifier.logits(prepared))


def test_int8_frame_is_never_a_float_picture(monkeypatch):
    def refuse(pixels, preprocess):
        raise AssertionError("a float picture was made")

    monkeypatch.setattr(image, "normalize", refuse)
    assert Classifier.open(TINY, "int8.tflite")(Frame(0, 0.0, GOLDEN.frames[0])).frame == 0
    with pytest.raises(AssertionError, match="a float picture was made"):
        Classifier.open(TINY, "fp32.tflite")(Frame(0, 0.0, GOLDEN.frames[0]))


def test_engine_can_be_chosen():
    classifier = Classifier.open(TINY, "int8.tflite", backend=LiteRT("reference"))
    assert classifier.engine == "litert"
    assert not classifier.session.delegated


def test_variant_that_the_bundle_lacks_is_refused():
    with pytest.raises(BundleError, match="no variant 'int4'"):
        Classifier.open(TINY, "int4")


def test_runner_must_be_prepared_first():
    with pytest.raises(RuntimeError, match=r"prepare\(\) comes before run\(\)"):
        next(InProcess(TINY, "int8.tflite").run([]))


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_probabilities_add_up_to_one_and_keep_the_order(logits):
    found = probabilities(np.float32(logits))
    assert found.sum() == pytest.approx(1)
    order = np.argsort(np.float32(logits), kind="stable")
    assert np.all(np.diff(found[order]) >= 0)


def test_probabilities_are_the_softmax():
    np.testing.assert_allclose(probabilities(np.log(np.float32([1, 2, 5]))), [0.125, 0.25, 0.625])


class Softmax:
    """A session that answers with given probabilities."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, inputs):
        return [self.answer]


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_probabilities_of_a_model_come_out_as_they_were(dtype):
    codes = np.array([[192, 64, 0]])
    if dtype == "float32":
        output = TensorSpec("p", (1, 3), dtype)
        answer = np.float32([[0.75, 0.25, 0]])
    else:
        zero_point = -128 if dtype == "int8" else 0
        output = TensorSpec("p", (1, 3), dtype, (1 / 256,), (zero_point,))
        answer = (codes + zero_point).astype(dtype)
    plain = Classifier.open(TINY, "fp32.tflite")
    classifier = dataclasses.replace(
        plain,
        session=Softmax(answer),
        output=output,
        reals=_reals(output, "probabilities"),
        answers="probabilities",
    )
    found = probabilities(classifier.logits(GOLDEN.inputs[:1]))
    np.testing.assert_allclose(found, [0.75, 0.25, 0], atol=0.5 / 256)
    assert found[2] < found[1]


@pytest.mark.parametrize("variant", ["int8.tflite", "fp32.tflite", "int8.onnx"])
@pytest.mark.parametrize("size", [(480, 640), (64, 64), (33, 97)])
def test_a_frame_is_answered_as_by_preparing_and_running_apart_to_the_last_bit(variant, size):
    """The loop's way writes into the engine's memory and reuses its own; other stages do not."""
    classifier = Classifier.open(TINY, variant)
    generator = np.random.default_rng(0)
    for index in range(3):
        rgb = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        expected = classifier.logits(classifier.prepare(rgb))
        np.testing.assert_array_equal(expected, classifier(Frame(index, 0.0, rgb)).logits)


def test_a_frame_of_the_models_own_size_is_left_as_it_is():
    rgb = GOLDEN.inputs[0].copy()
    Classifier.open(TINY, "int8.tflite")(Frame(0, 0.0, rgb))
    np.testing.assert_array_equal(GOLDEN.inputs[0], rgb)


class Camera:
    live = True
    closed = False

    def __iter__(self):
        generator = np.random.default_rng(0)
        for index in range(3):
            rgb = generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            yield Frame(index, 5.0 * index, rgb, name="camera", label=index)

    def close(self):
        self.closed = True


@pytest.mark.parametrize("variant", ["int8.tflite", "fp32.onnx"])
def test_frames_fitted_ahead_are_answered_the_same_to_the_last_bit(variant):
    classifier, camera = Classifier.open(TINY, variant), Camera()
    source = Ahead(camera, TINY.spec.preprocess)
    # all are fitted before the first is looked at: each has pixels of its own
    for plain, fitted in zip(list(Camera()), list(source), strict=True):
        assert isinstance(fitted, Fitted)
        assert (fitted.index, fitted.captured_ms, fitted.name, fitted.label) == (
            plain.index,
            plain.captured_ms,
            plain.name,
            plain.label,
        )
        expected, found = classifier(plain), classifier(fitted)
        np.testing.assert_array_equal(expected.logits, found.logits)
        assert 0 < fitted.fit_ms < found.stage_ms["preprocess"]
    source.close()
    assert camera.closed
