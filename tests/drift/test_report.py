from __future__ import annotations

import csv
import io

import msgspec
import numpy as np
import pytest

from edgenet.drift.compare import compare, measure
from edgenet.drift.limits import judge
from edgenet.drift.record import DriftReport, Layer
from edgenet.report.drift import as_csv, as_text, remarks, verdicts
from edgenet.report.drift_page import as_html

LABELS = tuple(f"class {n}" for n in range(8))


def report(lost: int = 0, won: int = 0, **changed) -> DriftReport:
    """400 pictures of 8 classes: fp32 misses 40, int8 loses and wins some pictures of others."""
    targets = np.arange(400) % 8
    reference = np.eye(8, dtype=np.float32)[targets] * 5
    reference[:40] = np.roll(reference[:40], 1, axis=1)
    variant = reference.copy()
    variant[40 : 40 + lost] = np.roll(variant[40 : 40 + lost], 1, axis=1)
    variant[:won] = np.roll(variant[:won], -1, axis=1)
    drift = compare(reference, variant, targets, LABELS)
    measured = DriftReport(
        bundle="mobilenet",
        bundle_sha256="0123456789abcdef" * 4,
        target="pc",
        dataset="pictures",
        note="",
        split="val",
        images=400,
        available=400,
        seed=None,
        calibrated=0,
        reference="fp32.tflite",
        results=(
            measure(reference, targets, variant="fp32.tflite", engine="litert 2", drift=None),
            measure(variant, targets, variant="int8.tflite", engine="litert 2", drift=drift),
        ),
        skipped={},
        images_per_s=1234.5,
        versions={"edgenet": "0.1.0"},
    )
    return msgspec.structs.replace(measured, **changed)


def test_text_has_a_row_for_each_variant_with_its_interval():
    lines = as_text(report(lost=6, won=2)).splitlines()
    assert lines[0] == "mobilenet for pc on 400 pictures of pictures (val)"
    assert lines[3].split() == [
        *("fp32.tflite", "90.00", "%", "86.7", "to", "92.6"),
        *("95.00", "%", "92.4", "to", "96.7", "95.5", "%"),
    ]
    assert lines[7].split()[:6] == ["int8.tflite", "-1.00", "-2.53", "to", "+0.54", "0.29"]


@pytest.mark.parametrize(
    ("lost", "won", "words"),
    [
        (0, 0, "no picture's answer changed between right and wrong."),
        (6, 2, "it loses 6 pictures and wins 2, as chance alone would often do (p = 0.29)"),
        (20, 2, "which chance rarely does (p < 0.001); it is less accurate than fp32.tflite."),
        (0, 12, "which chance rarely does (p < 0.001); it is more accurate than fp32.tflite."),
    ],
)
def test_the_verdict_says_whether_the_change_is_more_than_chance(lost, won, words):
    (sentence,) = verdicts(report(lost, won))
    assert sentence.startswith("int8.tflite: ")
    assert words in sentence


def test_only_classes_that_lose_are_listed_worst_first():
    text = as_text(report(lost=9))
    start = text.index("int8.tflite loses in")
    rows = text[start:].splitlines()[1:]
    assert rows[0].split() == ["class", "0", "50", "90.0", "%", "86.0", "%", "-4.0"]
    assert rows[5] == "  and in 3 more classes"
    assert "loses in" not in as_text(report())


def test_variants_that_change_the_same_share_a_table():
    one = report(lost=9)
    twin = msgspec.structs.replace(one.results[1], variant="int8.onnx")
    other = msgspec.structs.replace(report(lost=2).results[1], variant="fp32.onnx")
    text = as_text(msgspec.structs.replace(one, results=(*one.results, twin, other)))
    assert "\nint8.tflite and int8.onnx lose in" in text
    assert "\nfp32.onnx loses in" in text
    assert text.count("class 0   ") == 2


def test_a_limit_on_a_loss_of_nothing_shows_zero():
    assert "  0 points  int8.tflite  kept" in as_text(judge(report(), {"top1_drop": 1.0}))


def test_few_classes_have_no_top_5():
    without = [msgspec.structs.replace(result, top5=None) for result in report().results]
    row = as_text(report(results=tuple(without))).splitlines()[3]
    assert row.split() == ["fp32.tflite", "90.00", "%", "86.7", "to", "92.6", "-", "-", "95.5", "%"]


def test_layers_beyond_the_tenth_are_counted():
    layers = tuple(
        Layer(n, "CONV_2D", (1, 8, 8, 4), 10.0 + n, None if n == 0 else 1.0, 0.002)
        for n in range(12)
    )
    text = as_text(report(layers=layers, layer_images=64))
    rows = text[text.index("worst layers") :].splitlines()
    assert rows[2].split() == ["1", "CONV_2D", "8x8x4", "11.0", "dB", "+1.0", "dB", "0.20", "%"]
    assert rows[11] == "  and 2 more, which are better"
    assert rows[12].startswith("Over 64 pictures.")


def test_limits_are_shown_with_the_worst_value():
    text = as_text(judge(report(lost=6), {"top1_drop": 1.0, "agreement": 0.98, "snr_db": 90}))
    rows = [line.split("  ") for line in text[text.index("\nlimit ") :].splitlines()[2:5]]
    cells = [[cell.strip() for cell in row if cell] for row in rows]
    assert cells == [
        ["top1_drop", "at most 1 point", "1.5 points", "int8.tflite", "BROKEN"],
        ["agreement", "at least 0.98", "0.985", "int8.tflite", "kept"],
        ["snr_db", "at least 90 dB", "15.23 dB", "int8.tflite", "BROKEN"],
    ]


def test_equal_logits_keep_any_limit_on_noise():
    text = as_text(judge(report(), {"snr_db": 90}))
    assert "equal  int8.tflite  kept" in text


def test_what_a_reader_must_know_is_said():
    said = "\n".join(
        remarks(
            report(
                available=10_000,
                seed=3,
                calibrated=12,
                note="98 pictures are lossy",
                skipped={"int8.onnx": "running it needs ONNX Runtime"},
            )
        )
    )
    assert "Drawn from 10,000 pictures with seed 3." in said
    assert "Left out 12 more pictures that int8 was calibrated on" in said
    assert "98 pictures are lossy." in said
    assert "Not evaluated: int8.onnx; running it needs ONNX Runtime." in said


def test_a_report_that_needs_no_remarks_has_none():
    assert list(remarks(report())) == []


def test_a_reference_that_guesses_is_pointed_out():
    targets = np.arange(400) % 8
    silent = np.zeros((400, 8), np.float32)
    drift = compare(silent, silent, targets, LABELS)
    results = (
        measure(silent, targets, variant="fp32.tflite", engine="litert 2", drift=None),
        measure(silent, targets, variant="int8.tflite", engine="litert 2", drift=drift),
    )
    said = "\n".join(remarks(report(results=results)))
    assert "Naming the same class for every picture would give 12.50 %" in said
    assert "400 of fp32.tflite, 400 of int8.tflite" in said  # all logits are equal


def test_csv_has_the_numbers_in_full():
    first, second = csv.DictReader(io.StringIO(as_csv(report(lost=6, won=2))))
    assert first["p_value"] == ""
    assert second["top1"] == "0.89"
    assert float(second["top1_change"]) == -0.01
    assert (second["worse"], second["better"], second["worst_class"]) == ("6", "2", "class 2")


def test_html_escapes_what_the_user_named():
    page = as_html(report(lost=6, bundle="<b>bold</b>", dataset="a & b"))
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt; for pc on 400 pictures of a &amp; b (val)" in page


def test_html_lists_every_class_and_every_layer():
    layers = tuple(Layer(n, "CONV_2D", (1, 8, 8, 4), 10.0 + n, None, 0.0) for n in range(12))
    page = as_html(report(lost=6, layers=layers, layer_images=64))
    assert all(f"<td>{label}</td>" in page for label in LABELS)
    assert all(f"<td>{n} CONV_2D</td>" in page for n in range(12))
    assert "<svg" in page


def test_html_without_layers_or_limits_has_no_such_part():
    page = as_html(report())
    assert 'id="layers"' not in page
    assert 'id="limits"' not in page
    assert 'id="limits"' in as_html(judge(report(), {"top1": 0.5}))
