from __future__ import annotations

import dataclasses
import hashlib

import msgspec
import numpy as np
import pytest

from edgenet import runtime
from edgenet.bundle import Calibration
from edgenet.dataset import Dataset
from edgenet.dataset.split import ArraySplit, digest
from edgenet.drift.evaluate import Options, check_labels, draw, evaluate
from edgenet.drift.record import DriftReport, summary
from edgenet.errors import DataError, EngineError, MissingPackage, UsageError
from edgenet.stream.classify import Classifier


def missing(monkeypatch, *engines):
    """Makes engines missing on this machine."""
    real = Classifier.open

    def open_here(bundle, variant, **options):
        if variant.rpartition(".")[2] in engines:
            raise MissingPackage("its engine", "pc", needed_for=f"running {variant}")
        return real(bundle, variant, **options)

    monkeypatch.setattr(Classifier, "open", open_here)


def test_every_variant_is_measured_against_the_float_tflite(tiny, dataset):
    report = evaluate(tiny, dataset)
    assert [r.variant for r in report.results] == [
        "fp32.tflite",
        "int8.tflite",
        "fp32.onnx",
        "int8.onnx",
    ]
    assert report.reference == "fp32.tflite"
    assert [r.drift is None for r in report.results] == [True, False, False, False]
    assert (report.bundle, report.target, report.dataset, report.split) == (
        "tiny",
        "pc",
        "noisy",
        "val",
    )
    assert (report.images, report.available, report.seed) == (120, 120, None)
    manifest = (tiny.root / "manifest.json").read_bytes()
    assert report.bundle_sha256 == hashlib.sha256(manifest).hexdigest()


def test_accuracy_is_what_the_classifier_answers_picture_by_picture(tiny, dataset):
    report = evaluate(tiny, dataset, Options(variants=("int8.tflite",)))
    classifier = Classifier.open(tiny, "int8.tflite")
    answers = [classifier.logits(classifier.prepare(e.rgb)).argmax() for e in dataset.evaluation]
    right = int(np.count_nonzero(np.array(answers) == dataset.evaluation.targets))
    assert 90 < right < 120  # else the pictures are too easy or too hard to show anything
    (int8,) = [r for r in report.results if r.variant == "int8.tflite"]
    assert (int8.top1.count, int8.top1.of) == (right, 120)
    assert int8.engine == runtime.available()["litert"]


def test_the_number_of_workers_changes_no_number(tiny, dataset):
    one, three = (evaluate(tiny, dataset, Options(workers=n)) for n in (1, 3))
    assert one.results == three.results


def test_the_two_float_models_agree_and_the_two_int8_models_do(tiny, dataset):
    results = {r.variant: r for r in evaluate(tiny, dataset).results}
    assert results["fp32.onnx"].drift.snr_db > 100
    assert 20 < results["int8.tflite"].drift.snr_db < 50
    assert results["int8.tflite"].drift.agreement.value > 0.95


def test_a_bad_quantization_drifts(coarse, tiny, dataset):
    bad, good = (
        next(r.drift for r in evaluate(bundle, dataset).results if r.variant == "int8.tflite")
        for bundle in (coarse, tiny)
    )
    assert bad.top1.value < -0.05 < good.top1.value
    assert bad.top1.high < 0
    assert bad.top1.p_value < 0.001
    assert bad.agreement.high < good.agreement.low
    assert bad.snr_db < good.snr_db - 10
    assert bad.classes[0].value < -0.3


def test_an_int8_variant_alone_brings_its_reference(tiny, dataset):
    report = evaluate(tiny, dataset, Options(variants=("int8.onnx",)))
    assert [r.variant for r in report.results] == ["fp32.tflite", "int8.onnx"]


def test_the_float_variant_that_was_asked_for_is_the_reference(tiny, dataset):
    report = evaluate(tiny, dataset, Options(variants=("int8.onnx", "fp32.onnx")))
    assert report.reference == "fp32.onnx"
    assert [r.variant for r in report.results] == ["fp32.onnx", "int8.onnx"]


def test_a_missing_engine_is_told_and_the_others_are_measured(tiny, dataset, monkeypatch):
    missing(monkeypatch, "tflite")
    report = evaluate(tiny, dataset)
    assert report.reference == "fp32.onnx"
    assert set(report.skipped) == {"fp32.tflite", "int8.tflite"}
    assert "which is not installed" in report.skipped["int8.tflite"]


def test_a_missing_engine_that_was_asked_for_is_an_error(tiny, dataset, monkeypatch):
    missing(monkeypatch, "tflite")
    with pytest.raises(MissingPackage, match=r"running int8\.tflite needs its engine"):
        evaluate(tiny, dataset, Options(variants=("int8.tflite",)))


def test_no_engine_at_all_is_an_error(tiny, dataset, monkeypatch):
    missing(monkeypatch, "tflite", "onnx")
    with pytest.raises(MissingPackage, match="needs an engine"):
        evaluate(tiny, dataset)


def test_without_a_float_model_there_is_accuracy_and_no_drift(rewrite, dataset):
    report = evaluate(rewrite(variants=("int8.tflite",)), dataset)
    assert report.reference is None
    assert [r.drift for r in report.results] == [None]


def test_an_unknown_variant_is_refused_with_the_nearest(tiny, dataset):
    with pytest.raises(UsageError, match=r"no variant 'int8\.tflit'; did you mean 'int8\.tflite'"):
        evaluate(tiny, dataset, Options(variants=("int8.tflit",)))


def test_pictures_that_int8_was_calibrated_on_are_left_out(rewrite, dataset, pictures):
    seen = tuple(digest(pictures[number]) for number in (0, 1, 50))
    bundle = rewrite(calibration=Calibration("noisy val", 3, 0, "minmax", seen))
    report = evaluate(bundle, dataset)
    assert (report.images, report.available, report.calibrated) == (117, 120, 3)
    assert report.results[0].top1.of == 117
    assert {c.label: c.images for c in report.results[1].drift.classes} == {
        **dict.fromkeys("bdef", 20),
        "a": 18,
        "c": 19,
    }


def test_nothing_but_calibration_pictures_is_refused(rewrite, dataset, pictures):
    seen = tuple(map(digest, pictures))
    bundle = rewrite(calibration=Calibration("noisy val", len(seen), 0, "minmax", seen))
    with pytest.raises(DataError, match="int8 was calibrated on all of the 120 pictures"):
        evaluate(bundle, dataset)


def test_fewer_pictures_are_a_random_sample_that_the_seed_decides():
    first, again, other = (draw(1000, Options(max_images=50, seed=s)) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(set(first.tolist())) == 50
    assert first.max() > 800  # not the first ones, which are of few classes
    assert np.all(np.diff(first) > 0)


def test_as_many_pictures_as_there_are_is_all_of_them(tiny, dataset):
    assert draw(7, Options(max_images=7)).tolist() == list(range(7))
    assert evaluate(tiny, dataset, Options(max_images=120)).seed is None
    assert evaluate(tiny, dataset, Options(max_images=119)).seed == 0


@pytest.mark.parametrize("wanted", [0, -3])
def test_no_pictures_are_too_few(wanted):
    with pytest.raises(UsageError, match=f"cannot evaluate on {wanted} pictures"):
        draw(10, Options(max_images=wanted))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            tuple("abcde"),
            "noisy has other labels than tiny: 5 instead of 6, without 'f'; evaluate on data",
        ),
        (
            tuple("abcdxfghij"),
            "10 instead of 6, without 'e', with 'x', 'g', 'h' and 2 more; evaluate",
        ),
        (tuple("abXdef"), "number 2 is 'X' instead of 'c'; evaluate"),
        (tuple("bacdef"), "number 0 is 'b' instead of 'a'; the labels are the same in another"),
        (tuple("abcdeff"), "7 instead of 6; evaluate"),
    ],
)
def test_a_data_set_of_other_labels_is_refused_naming_what_differs(tiny, dataset, labels, words):
    with pytest.raises(DataError) as refused:
        check_labels(tiny, dataclasses.replace(dataset, labels=labels))
    assert words in str(refused.value)


def test_logits_that_are_not_numbers_are_refused_with_the_picture(tiny, dataset, monkeypatch):
    real = Classifier.logits

    def logits(self, model_input):
        found = real(self, model_input)
        return found * np.nan if found.argmax() == 3 and self.engine == "onnxruntime" else found

    monkeypatch.setattr(Classifier, "logits", logits)
    words = r"^fp32\.onnx answers \d+ of 120 pictures with logits that are not finite .* noisy/val/"
    with pytest.raises(EngineError, match=words):
        evaluate(tiny, dataset)


def test_a_picture_that_cannot_be_read_ends_the_evaluation_with_its_name(tiny, dataset):
    class Broken(ArraySplit):
        def rgb(self, index):
            if index == 77:
                raise DataError("77.png: the picture is cut short")
            return super().rgb(index)

    whole = dataset.evaluation
    broken = Broken("broken", lambda: (whole.pixels, whole.targets))
    with pytest.raises(DataError, match=r"77\.png"):
        evaluate(tiny, Dataset("noisy", dataset.labels, {"val": broken}))


def test_progress_counts_every_picture_once(tiny, dataset):
    told = []
    evaluate(tiny, dataset, Options(layers=True), lambda *step: told.append(step))
    assert told[:120] == [("evaluating", n, 120) for n in range(1, 121)]
    assert told[120:] == [("comparing layers", n, 64) for n in range(1, 65)]


def test_the_report_survives_json(tiny, dataset):
    report = evaluate(tiny, dataset, Options(layers=True))
    assert msgspec.json.decode(msgspec.json.encode(report), type=DriftReport) == report


def test_the_summary_is_plain_data_and_the_same_for_the_same_measurement(tiny, dataset):
    first, again = (summary(evaluate(tiny, dataset)) for _ in range(2))
    assert first == again
    assert msgspec.json.decode(msgspec.json.encode(first)) == first
    assert first["reference"] == "fp32.tflite"
    assert first["variants"]["int8.tflite"]["top1"]["of"] == 120
    assert "drift" not in first["variants"]["fp32.tflite"]
    assert first["variants"]["int8.tflite"]["drift"]["agreement"]["of"] == 120


def test_a_bundle_holds_the_summary_of_its_drift(rewrite, tiny, dataset):
    assert "drift" in tiny.manifest.__struct_fields__
    found = summary(evaluate(tiny, dataset))
    manifest = msgspec.structs.replace(tiny.manifest, drift=found)
    text = msgspec.json.encode(manifest)
    assert msgspec.json.decode(text, type=type(manifest)).drift == found
