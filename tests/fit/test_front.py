"""The front, the recommendation and the nearest miss, on rows whose numbers are drawn."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from edgenet.fit import front
from edgenet.fit.accuracy import Accuracy
from edgenet.fit.point import Point
from edgenet.fit.record import Excess, Row


def row(number: int, macs: int, top1: float | None, *, fits: bool = True) -> Row:
    return Row(
        name=f"n{number}",
        point=Point("mobilenet_v1", 1.0, 96, 10),
        macs=macs,
        accuracy=None if top1 is None else Accuracy(top1, "ImageNet", "published", "https://x"),
        over={} if fits else {"flash": Excess(3, 2)},
    )


ROWS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from([None, 0.4, 0.5, 0.6]), st.booleans()), max_size=8
).map(lambda rows: [row(i, macs, top1, fits=fits) for i, (macs, top1, fits) in enumerate(rows)])


@given(ROWS)
def test_the_front_is_what_nothing_else_is_better_than(rows):
    names = set(front.front(rows, "macs"))
    known = [one for one in rows if one.fits and one.accuracy]
    for one in known:
        better = [
            other
            for other in known
            if other.macs <= one.macs
            and other.accuracy.top1 >= one.accuracy.top1
            and (other.macs, -other.accuracy.top1) != (one.macs, -one.accuracy.top1)
        ]
        same = [o for o in known if (o.macs, o.accuracy) == (one.macs, one.accuracy)]
        assert (not better) == any(other.name in names for other in same)
    assert names <= {one.name for one in known}


@given(ROWS)
def test_what_is_recommended_fits_and_is_the_most_accurate(rows):
    name = front.recommended(rows)
    fitting = [one for one in rows if one.fits]
    assert (name is None) == (not fitting)
    known = [one for one in fitting if one.accuracy]
    if known:
        chosen = next(one for one in rows if one.name == name)
        best = max(one.accuracy.top1 for one in known)
        assert chosen.accuracy.top1 == best
        assert chosen.macs == min(one.macs for one in known if one.accuracy.top1 == best)
        assert name in front.front(rows, "macs")


def test_without_accuracies_the_largest_that_fits_is_recommended():
    assert (
        front.recommended([row(0, 5, None), row(1, 9, None), row(2, 11, None, fits=False)]) == "n1"
    )


def test_the_nearest_miss_breaks_its_worst_limit_by_least():
    far = Row(
        name="far",
        point=Point("mobilenet_v1", 1, 96, 10),
        macs=1,
        over={"flash": Excess(11, 10), "ram": Excess(3, 1)},
    )
    near = Row(
        name="near", point=Point("mobilenet_v1", 1, 96, 10), macs=1, over={"ram": Excess(12, 10)}
    )
    refused = Row(name="no", point=Point("mobilenet_v1", 1, 96, 10), macs=1, refused="no kernel")
    assert front.nearest([far, refused, near]) == "near"
    assert front.nearest([refused]) is None
    assert front.nearest([near, row(0, 1, None)]) is None
