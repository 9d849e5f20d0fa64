from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.stream.classify import probabilities
from edgenet.stream.decide import Decide, label
from edgenet.stream.result import UNKNOWN
from edgenet.stream.smooth import Smooth

LABELS = ("ant", "bee", "cat")


def logits(*values):
    return np.log(np.float64(values))


def test_the_most_probable_come_first():
    top = Decide(LABELS, top_k=2)(logits(0.1, 0.6, 0.3))
    assert [(guess.index, guess.label) for guess in top] == [(1, "bee"), (2, "cat")]
    assert [guess.probability for guess in top] == pytest.approx([0.6, 0.3])
    assert label(top) == "bee"


def test_below_the_threshold_nothing_is_named_and_the_label_is_unknown():
    decide = Decide(LABELS, threshold=0.5)
    assert [guess.label for guess in decide(logits(0.2, 0.6, 0.2))] == ["bee"]
    top = decide(logits(0.4, 0.35, 0.25))
    assert (top, label(top)) == ((), UNKNOWN)


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=40),
    st.integers(1, 45),
)
def test_any_top_k_is_the_stable_order_of_the_probabilities(values, top_k):
    found = Decide([str(i) for i in range(len(values))], top_k=top_k)(np.float32(values))
    order = np.argsort(-probabilities(np.float32(values)), kind="stable")[:top_k]
    assert [guess.index for guess in found] == order.tolist()


def test_smoothing_is_the_exponential_average_of_the_probabilities():
    smooth = Smooth(0.75)
    np.testing.assert_allclose(smooth(np.array([1.0, 0.0])), [1, 0])
    np.testing.assert_allclose(smooth(np.array([0.0, 1.0])), [0.75, 0.25])
    np.testing.assert_allclose(smooth(np.array([0.0, 1.0])), [0.75**2, 1 - 0.75**2])


def test_the_first_frame_is_not_smoothed_and_stays_whole():
    first = np.array([0.2, 0.8])
    smooth = Smooth(0.5)
    smooth(first)
    smooth(np.array([1.0, 0.0]))
    assert first.tolist() == [0.2, 0.8]


def test_one_odd_frame_changes_a_smoothed_answer_not():
    plain, smoothed = Decide(LABELS), Decide(LABELS, smooth=0.8)
    usual, odd = logits(0.9, 0.05, 0.05), logits(0.05, 0.9, 0.05)
    seen = [usual, usual, odd, usual]
    assert [label(plain(one)) for one in seen] == ["ant", "ant", "bee", "ant"]
    assert [label(smoothed(one)) for one in seen] == ["ant"] * 4


def test_the_threshold_holds_for_what_was_smoothed():
    decide = Decide(LABELS, smooth=0.5, threshold=0.6)
    assert label(decide(logits(0.98, 0.01, 0.01))) == "ant"
    assert label(decide(logits(0.01, 0.98, 0.01))) == UNKNOWN


@pytest.mark.parametrize("past", [-0.1, 1.0, 2.0])
def test_a_past_that_never_fades_is_refused(past):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        Smooth(past)
