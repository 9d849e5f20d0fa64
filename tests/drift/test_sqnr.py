from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgenet.drift.sqnr import Sqnr, sqnr_db

tensors = arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32))


def test_noise_of_a_tenth_of_the_amplitude_is_20_db():
    signal = np.random.default_rng(0).normal(size=1000)
    assert sqnr_db(signal, signal * 1.1) == pytest.approx(20.0)


def test_equal_tensors_have_no_noise():
    assert sqnr_db(np.ones(3), np.ones(3)) == inf
    assert sqnr_db(np.zeros(3), np.zeros(3)) == inf


def test_a_silent_reference_drowns_in_any_noise():
    assert sqnr_db(np.zeros(3), np.ones(3)) == -inf


def test_shapes_must_match():
    with pytest.raises(ValueError, match="differ"):
        sqnr_db(np.zeros((2, 3)), np.zeros((1, 3)))


def test_rounding_to_8_bits_of_a_uniform_signal_costs_what_theory_says():
    # A uniform signal over 256 steps of size d has energy (256 d)^2 / 12 and noise d^2 / 12:
    # 20 log10(256) = 48.16 dB.
    signal = np.random.default_rng(0).uniform(-127.5, 127.5, 200_000)
    assert sqnr_db(signal, np.rint(signal)) == pytest.approx(48.16, abs=0.05)


@given(tensors, tensors)
def test_summing_halves_gives_the_whole(reference, candidate):
    assume(np.any(reference != candidate) and np.any(reference))
    sqnr = Sqnr()
    sqnr.add(reference[:1], candidate[:1])
    sqnr.add(reference[1:], candidate[1:])
    assert sqnr.db == pytest.approx(sqnr_db(reference, candidate))


@given(tensors, tensors, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_ratio_does_not_depend_on_the_unit(reference, candidate, factor):
    assume(np.any(reference != candidate) and np.any(np.abs(reference) > 1e-3))
    assert sqnr_db(reference * factor, candidate * factor) == pytest.approx(
        sqnr_db(reference, candidate), abs=1e-6
    )
