"""Kernels in C against the reference, value by value, on shapes that hypothesis chooses."""

from __future__ import annotations

from contextlib import closing

import layers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toolchains import DSP_GUARDED, DSP_SANITIZED, WATCHED

from edgenet.codegen.plan import NEVER
from edgenet.int8 import graph as g

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(1, 10), st.integers(1, 10))
SMALL = st.tuples(st.integers(1, 4), st.integers(1, 4))
COUNTS = st.integers(1, 9)


@pytest.fixture(scope="module", params=WATCHED)
def driver(request, tmp_path_factory):
    found = layers.Driver(tmp_path_factory.mktemp("driver"), request.param)
    yield found
    found.close()


def check(driver, case):
    """Every call apart, and over the input as near as the plan may lay it."""
    (call,) = case.lowered.calls
    size = case.expected.size
    found = driver.run(layers.record(case, call, pointer=driver.pointer), size)
    np.testing.assert_array_equal(found, case.expected.ravel())
    for distances in case.lowered.work.walks.values():
        for backwards, distance in enumerate(distances):
            if distance == NEVER or len(case.inputs) > 1:
                continue
            distance = max(distance, -case.inputs[0].size - size)
            given = layers.record(
                case, call, pointer=driver.pointer, over=(bool(backwards), distance)
            )
            found = driver.run(given, size)
            np.testing.assert_array_equal(found, case.expected.ravel(), err_msg=str(distance))


@pytest.mark.parametrize("watched", WATCHED)
def test_a_step_beside_the_scratch_is_seen(watched, tmp_path):
    """What the tests below prove can fail: of the DSP flavour, assembly takes that step."""
    if watched is DSP_SANITIZED:
        pytest.skip("no sanitizer sees assembly; guard pages do")
    case = layers.Layers(np.random.default_rng(0)).conv((2, 2), 8, 4, (1, 1), (1, 1), g.Padding())
    (call,) = case.lowered.calls
    shift = -36 if watched is DSP_GUARDED["before"] else 36  # portable C needs 32 of 64
    with closing(layers.Driver(tmp_path, watched)) as driver:
        given = layers.record(case, call, pointer=driver.pointer, shift=shift)
        with pytest.raises(AssertionError, match=r"heap-buffer-overflow|signal 11"):
            driver.run(given, case.expected.size)


def padding(data, kernel):
    return g.Padding(*(data.draw(st.integers(0, extent - 1)) for extent in np.repeat(kernel, 2)))


def fits(size, kernel, around):
    return (
        size[0] + around.top + around.bottom >= kernel[0]
        and size[1] + around.left + around.right >= kernel[1]
        and size[0] + min(around.top, around.bottom) >= 1
    )


@settings(max_examples=60)
@given(SEEDS, SIZES, COUNTS, COUNTS, SMALL, SMALL, st.data())
def test_convolutions_equal_the_reference(
    driver, seed, size, channels, count, kernel, stride, data
):
    around = padding(data, kernel)
    if fits(size, kernel, around):
        draw = layers.Layers(np.random.default_rng(seed))
        check(driver, draw.conv(size, channels, count, kernel, stride, around))


@settings(max_examples=60)
@given(SEEDS, SIZES, st.integers(1, 40), st.integers(1, 20))
def test_pixelwise_convolutions_equal_the_reference(driver, seed, size, channels, count):
    draw = layers.Layers(np.random.default_rng(seed))
    check(driver, draw.conv(size, channels, count, (1, 1), (1, 1), g.Padding()))


@settings(max_examples=60)
@given(SEEDS, SIZES, COUNTS, st.integers(1, 3), SMALL, SMALL, st.data())
def test_depthwise_convolutions_equal_the_reference(
    driver, seed, size, channels, multiplier, kernel, stride, data
):
    around = padding(data, kernel)
    if fits(size, kernel, around):
        draw = layers.Layers(np.random.default_rng(seed))
        check(driver, draw.depthwise(size, channels, multiplier, kernel, stride, around))


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 6), st.integers(1, 80), COUNTS)
def test_fully_connected_layers_equal_the_reference(driver, seed, rows, terms, count):
    check(driver, layers.Layers(np.random.default_rng(seed)).fully_connected(rows, terms, count))


@settings(max_examples=40)
@given(SEEDS, st.sampled_from(["average", "max"]), SIZES, COUNTS, SMALL, SMALL, st.data())
def test_pools_equal_the_reference(driver, seed, kind, size, channels, window, stride, data):
    around = padding(data, window)
    rows, columns = layers.sizes(size, window, stride, around)
    # a window that lies in padding alone has no mean, and no network has it
    last = (rows - 1) * stride[0] - around.top, (columns - 1) * stride[1] - around.left
    if fits(size, window, around) and last[0] < size[0] and last[1] < size[1]:
        draw = layers.Layers(np.random.default_rng(seed))
        check(driver, draw.pool(kind, size, channels, window, stride, around))


@settings(max_examples=30)
@given(SEEDS, SIZES, COUNTS)
def test_means_equal_the_reference(driver, seed, size, channels):
    check(driver, layers.Layers(np.random.default_rng(seed)).mean(size, channels))


@settings(max_examples=30)
@given(SEEDS, st.one_of(st.integers(1, 90), st.integers(2047, 2100)))
def test_sums_equal_the_reference(driver, seed, size):
    """From 2048 on, codes are looked up in tables."""
    check(driver, layers.Layers(np.random.default_rng(seed)).add(size))


@settings(max_examples=20)
@given(SEEDS, SIZES, COUNTS, st.tuples(*[st.integers(0, 3)] * 4))
def test_padding_equals_the_reference(driver, seed, size, channels, amounts):
    draw = layers.Layers(np.random.default_rng(seed))
    check(driver, draw.pad(size, channels, g.Padding(*amounts)))


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 3), st.integers(1, 1000))
def test_softmax_equals_the_reference(driver, seed, rows, depth):
    check(driver, layers.Layers(np.random.default_rng(seed)).softmax(rows, depth))


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 300))
def test_tables_equal_the_reference(driver, seed, size):
    check(driver, layers.Layers(np.random.default_rng(seed)).rescale(size))
