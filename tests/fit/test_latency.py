"""Latency by operator: what was put in comes out, and wild rows do not bend it."""

from __future__ import annotations

import numpy as np
import pytest

from edgenet.fit import latency, nonnegative
from edgenet.fit.latency import Model, Rate, Sample
from edgenet.fit.point import Point, grid

TRUE = Model(
    {
        "conv": Rate(2e-7, 1e-6, 0.0, 2e-2),
        "depthwise": Rate(9e-7, 0.0, 0.0, 5e-3),
        "pointwise": Rate(4e-8, 5e-7, 1e-8, 3e-3),
        "linear": Rate(1e-7, 0.0, 0.0, 1e-3),
        "pool": Rate(0.0, 1e-7, 0.0, 1e-3),
        "add": Rate(0.0, 8e-7, 0.0, 1e-3),
    },
    overhead=0.05,
)
POINTS = grid(["v1", "v2"], [0.25, 0.5, 1.0], [96, 160, 224], 1000)


def sample(point: Point, *, timed: bool = True, factor: float = 1.0) -> Sample:
    cost = point.cost()
    each = [TRUE.rates[one.layer.kind].of(one) for one in latency.operators(cost)]
    return Sample(cost, TRUE.of(cost) * factor, tuple(each) if timed else ())


def test_the_solver_finds_what_lies_inside_and_stops_at_zero():
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 1, (40, 5))
    true = np.array([1.0, 0.0, 3.0, 0.0, 2.0])
    np.testing.assert_allclose(nonnegative.solve(rows, rows @ true), true, atol=1e-9)
    found = nonnegative.solve(rows, rows @ np.array([1.0, -2.0, 3.0, 0.5, 2.0]))
    assert found.min() == 0
    # Karush, Kuhn and Tucker: no unknown at zero would rather grow
    gradient = rows.T @ (rows @ np.array([1.0, -2.0, 3.0, 0.5, 2.0]) - rows @ found)
    assert gradient[found == 0].max() <= 1e-8
    np.testing.assert_allclose(gradient[found > 0], 0, atol=1e-8)


def test_networks_that_were_not_measured_are_predicted():
    model = latency.calibrate([sample(point) for point in POINTS[::2]])
    assert model.overhead == pytest.approx(TRUE.overhead, rel=0.1)
    for point in POINTS[1::2]:
        assert model.of(point.cost()) == pytest.approx(TRUE.of(point.cost()), rel=0.02)


def test_totals_alone_will_do():
    model = latency.calibrate([sample(point, timed=False) for point in POINTS[::2]])
    for point in POINTS[1::2]:
        assert model.of(point.cost()) == pytest.approx(TRUE.of(point.cost()), rel=0.15)


def test_a_measurement_that_was_disturbed_does_not_bend_the_others():
    disturbed = sample(POINTS[0], timed=False, factor=4.0)
    model = latency.calibrate([disturbed, *map(sample, POINTS[1:])])
    for point in POINTS[1:]:
        assert model.of(point.cost()) == pytest.approx(TRUE.of(point.cost()), rel=0.05)


def test_rates_are_never_below_zero():
    rng = np.random.default_rng(0)
    samples = [sample(one, timed=False, factor=rng.uniform(0.7, 1.4)) for one in POINTS]
    for rate in latency.calibrate(samples).rates.values():
        assert min(rate.multiply_add, rate.byte, rate.weight, rate.call) >= 0


def test_a_kind_of_layer_that_was_never_measured_gives_no_latency():
    model = latency.calibrate([sample(one) for one in POINTS if one.arch == "mobilenet_v1"])
    assert model.of(Point("mobilenet_v2", 1.0, 96, 10).cost()) is None


def test_errors_are_of_samples_that_were_left_out():
    samples = [sample(point) for point in POINTS[:8]]
    assert max(map(abs, latency.errors(samples))) < 0.1
    samples[3] = Sample(samples[3].cost, samples[3].invoke_ms * 2, ())
    assert latency.errors(samples)[3] == pytest.approx(-0.5, abs=0.1)


def test_operators_are_matched_by_the_size_of_what_they_give():
    cost = Point("mobilenet_v1", 0.25, 32, 10).cost()
    names = ["CONV_2D " + "x".join(map(str, one.output)) for one in latency.operators(cost)]
    assert latency.matches(names, cost)
    assert not latency.matches(names[1:], cost)
    assert not latency.matches(["", *names[1:]], cost)
    # at 32 pixels the last map is one pixel, whose mean no engine computes
    assert "pool" not in [one.layer.kind for one in latency.operators(cost)]
