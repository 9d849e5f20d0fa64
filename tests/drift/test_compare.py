from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgenet.drift.compare import compare, confidences, measure, ranks

LABELS = tuple("abcdefg")
CLASSES = len(LABELS)


@st.composite
def answers(draw):
    images = draw(st.integers(1, 40))
    # Few distinct values, as int8 logits have: ties are common.
    logits = arrays(np.float32, (images, CLASSES), elements=st.integers(-4, 4).map(float))
    targets = arrays(np.int64, images, elements=st.integers(0, CLASSES - 1))
    return draw(logits), draw(logits), draw(targets)


@given(answers())
def test_rank_is_the_place_in_a_stable_sort(drawn):
    logits, _, targets = drawn
    order = np.argsort(-logits, axis=1, kind="stable")
    assert ranks(logits, targets).tolist() == np.nonzero(order == targets[:, None])[1].tolist()


@given(answers())
def test_rank_0_is_what_argmax_answers(drawn):
    logits, _, targets = drawn
    assert np.array_equal(ranks(logits, targets) == 0, logits.argmax(axis=1) == targets)


def test_confidence_is_the_softmax_of_the_largest_logit():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32))
    assert confidences(logits) == pytest.approx([0.7, 0.8])


def test_confidence_survives_logits_that_overflow_exp():
    assert confidences(np.array([[5000.0, 0.0]], np.float32)) == pytest.approx([1.0])


def test_drift_counts_who_changed_and_for_which_class():
    reference = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]] * 4
    variant = np.eye(3, dtype=np.float32)[[0, 1, 1, 2, 2, 2]] * 4
    targets = np.array([0, 0, 1, 1, 1, 2])  # the reference misses one 1, the variant two and a 0
    drift = compare(reference, variant, targets, ("cat", "dog", "eel"))
    assert (drift.top1.worse, drift.top1.better) == (2, 0)
    assert drift.top1.value == pytest.approx(-2 / 6)
    assert drift.top1.p_value == 0.5
    assert drift.top1.low < -2 / 6 < drift.top1.high
    assert (drift.agreement.count, drift.agreement.of) == (4, 6)
    assert [(c.label, c.images, c.reference, c.variant) for c in drift.classes] == [
        ("cat", 2, 2, 1),
        ("dog", 3, 2, 1),
        ("eel", 1, 1, 1),
    ]
    # 6 vectors of energy 16; two of them wrong in two places by 4.
    assert drift.snr_db == pytest.approx(10 * np.log10(96 / 64))


def test_agreement_counts_equal_answers_though_both_are_wrong():
    logits = np.eye(3, dtype=np.float32)[[0, 1]]
    drift = compare(logits, logits, np.array([2, 2]), tuple("abc"))
    assert drift.agreement.count == 2


def test_a_model_does_not_drift_from_itself():
    logits = np.random.default_rng(0).normal(size=(20, CLASSES)).astype(np.float32)
    drift = compare(logits, logits.copy(), np.zeros(20, np.int64), LABELS)
    assert (drift.top1.value, drift.top1.p_value, drift.agreement.value) == (0, 1, 1)
    assert drift.snr_db is None
    assert drift.confidence == 0


def test_confidence_change_is_negative_when_the_variant_is_less_sure():
    reference = np.log(np.array([[0.8, 0.1, 0.1]], np.float32))
    variant = np.log(np.array([[0.6, 0.2, 0.2]], np.float32))
    assert compare(reference, variant, np.array([0]), tuple("abc")).confidence == pytest.approx(
        -0.2
    )


def test_classes_without_pictures_are_left_out():
    logits = np.eye(3, dtype=np.float32)[[0, 2]]
    drift = compare(logits, logits, np.array([0, 2]), ("cat", "dog", "eel"))
    assert [change.label for change in drift.classes] == ["cat", "eel"]


@given(answers())
def test_drift_of_a_pair_and_its_mirror_image_are_opposite(drawn):
    reference, variant, targets = drawn
    there = compare(reference, variant, targets, LABELS)
    back = compare(variant, reference, targets, LABELS)
    assert there.top1.value == -back.top1.value
    assert (there.top1.worse, there.top1.better) == (back.top1.better, back.top1.worse)
    assert there.top1.p_value == back.top1.p_value
    assert there.agreement == back.agreement
    assert there.confidence == pytest.approx(-back.confidence)


@given(answers())
def test_classes_add_up_to_the_whole_and_the_worst_comes_first(drawn):
    reference, variant, targets = drawn
    drift = compare(reference, variant, targets, LABELS)
    total = sum(change.variant - change.reference for change in drift.classes)
    assert total == drift.top1.better - drift.top1.worse
    assert sum(change.images for change in drift.classes) == len(targets)
    losses = [change.value for change in drift.classes]
    assert losses == sorted(losses)


@given(answers())
def test_difference_is_the_difference_of_the_two_accuracies(drawn):
    reference, variant, targets = drawn
    both = [
        measure(logits, targets, variant="int8.tflite", engine="", drift=None)
        for logits in (reference, variant)
    ]
    drift = compare(reference, variant, targets, LABELS)
    assert drift.top1.value == pytest.approx(both[1].top1.value - both[0].top1.value)
    assert all(result.top1.count <= result.top5.count for result in both)


def test_top_5_of_five_classes_says_nothing():
    logits, targets = np.eye(5, dtype=np.float32), np.arange(5)
    assert measure(logits, targets, variant="int8.tflite", engine="", drift=None).top5 is None


def test_ties_are_counted_and_the_first_class_wins():
    logits = np.array([[1, 1, 0], [0, 2, 1], [3, 0, 3]], np.float32)
    targets = np.array([1, 1, 0])
    result = measure(logits, targets, variant="int8.tflite", engine="", drift=None)
    assert result.ties == 2
    assert result.top1.count == 2
