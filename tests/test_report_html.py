from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.report import html, plot, profile_page
from edgenet.report.html import Markup, Section
from edgenet.report.plot import Axes, Series
from edgenet.spec import VARIANTS

times = st.floats(min_value=1e-3, max_value=1e4, allow_nan=False)


def test_a_page_lists_its_sections() -> None:
    sections = [Section("one", "First & foremost", "<p>a</p>"), Section("two", "Second", "")]
    text = html.page("a <title>", sections, lead="<p>lead</p>")
    assert "<title>a &lt;title&gt;</title>" in text
    assert '<a href="#one">First &amp; foremost</a><a href="#two">Second</a>' in text
    assert text.index("<p>lead</p>") < text.index('<section id="one">') < text.index("<p>a</p>")


def test_table_cells_are_escaped_markup_is_not_and_nothing_is_a_dash() -> None:
    text = html.table(["a", "b", "c"], [["<x>", Markup("<b>1</b>"), None]])
    assert "<td>&lt;x&gt;</td>" in text
    assert '<td class="n"><b>1</b></td>' in text
    assert '<td class="n">-</td>' in text


def test_facts_say_what_is_not_known() -> None:
    text = html.facts([("governor", None), ("cores", 4)])
    assert "<dt>governor</dt><dd>not known</dd>" in text
    assert "<dt>cores</dt><dd>4</dd>" in text


def test_both_colour_schemes_define_every_colour() -> None:
    light, dark = html.style().split("@media (prefers-color-scheme: dark)")[:2]
    names = set(re.findall(r"(--[\w-]+):", light))
    assert {"--s1", "--s6", "--ink", "--paper"} <= names
    assert names == set(re.findall(r"(--(?!c\b)[\w-]+):", dark))


@given(st.lists(times, min_size=1, max_size=50))
def test_the_cumulative_share_ends_at_all(samples: list[float]) -> None:
    points = plot.cumulative(samples)
    assert points[-1] == (max(samples), 100.0)
    assert [x for x, _ in points] == sorted(samples)
    assert all(low[1] < high[1] for low, high in itertools.pairwise(points))


@given(st.lists(times, min_size=1, max_size=200))
def test_a_histogram_counts_every_sample_once(samples: list[float]) -> None:
    outline = plot.histogram(samples, bins=10)
    tops = [count for _, count in outline[1:-1:2]]
    assert len(tops) == 10
    assert sum(tops) == len(samples)
    assert outline[0][1] == outline[-1][1] == 0


@given(st.lists(times, min_size=15, max_size=60), st.integers(4, 12))
def test_thinning_keeps_the_extremes(samples: list[float], most: int) -> None:
    points = [(float(x), y) for x, y in enumerate(samples)]
    kept = plot.thin(points, most)
    assert len(kept) <= most + 2
    assert {min(samples), max(samples)} <= {y for _, y in kept}
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)


def test_few_points_are_left_alone() -> None:
    points = [(0.0, 1.0), (1.0, 5.0), (2.0, 1.0)]
    assert plot.thin(points, most=3) == points


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 9.7, [0, 2, 4, 6, 8]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.555, 0.619, [0.56, 0.57, 0.58, 0.59, 0.6, 0.61]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert plot.ticks(low, high) == pytest.approx(expected)


@given(times, times)
def test_logarithmic_ticks_lie_within_their_limits(first: float, second: float) -> None:
    low, high = sorted((first, second))
    if high / low < 1.001:
        high = low * 1.001
    ticks = plot.log_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low * 0.9 <= tick <= high * 1.1 for tick in ticks)


def test_logarithmic_ticks_are_round_where_they_span_less_than_a_step() -> None:
    assert plot.log_ticks(11, 49) == [20.0, 30.0, 40.0]


def coordinates(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]


@pytest.mark.parametrize("kind", ["line", "step", "dots", "area"])
@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("samples", [[2.0], [2.0, 2.0], [0.5, 1.0, 30.0]])
def test_a_plot_stays_within_its_frame(kind: str, log_x: bool, samples: list[float]) -> None:
    points = plot.cumulative(samples)
    series = Series(2, points, "label <x>", kind)  # type: ignore[arg-type]
    axes = Axes("x", "y", log_x=log_x, marks=[(50.0, "half")])
    svg = plot.plot([series], axes, title="a & b")
    assert f'viewBox="0 0 {plot.WIDTH} {plot.HEIGHT}"' in svg
    assert 'aria-label="a &amp; b"' in svg
    assert "label &lt;x&gt;" in svg
    drawn = re.search(r'class="(?:line|dot|fill) s2" d="([^"]+)"', svg)
    assert drawn is not None
    assert all(-3 <= number <= plot.WIDTH for number in coordinates(drawn[1]))
    assert "nan" not in svg


def test_a_step_rises_at_its_sample() -> None:
    axes = Axes("x", "y", x_range=(0, 10), y_range=(0, 100))
    svg = plot.plot([Series(1, [(0, 0), (5, 100)], "", "step")], axes, title="")
    drawn = re.search(r'class="line s1" d="([^"]+)"', svg)
    assert drawn is not None
    left, bottom, right, top = coordinates(drawn[1])
    assert (left, right) == (40, (40 + plot.WIDTH - 10) / 2)
    assert bottom > top


def test_bars_are_as_long_as_their_parts() -> None:
    rows = [("a", [(1, 3.0, "x"), (2, 1.0, "y")]), ("b", [(1, 2.0, "x")])]
    svg = plot.bars(rows, unit="ms", title="stages")
    widths = [float(width) for width in re.findall(r'width="([\d.]+)"', svg)]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)
    assert widths[0] + widths[1] == pytest.approx(2 * widths[2], rel=0.01)
    assert "4.00 ms" in svg
    assert "<title>y: 1.00 ms</title>" in svg


def test_no_bars_and_no_series_are_drawn_as_nothing() -> None:
    assert "<rect" not in plot.bars([], unit="ms", title="")
    assert "nan" not in plot.plot([], Axes("x", "y"), title="")


def test_every_variant_has_a_colour_of_its_own_in_light_and_dark():
    style = html.page("a title", [])
    colours = {profile_page.colour_of(variant) for variant in VARIANTS}
    assert len(colours) == len(VARIANTS)
    for colour in colours:
        assert style.count(f"--s{colour}: #") == 2
        assert f".s{colour} {{ --c: var(--s{colour}); }}" in style
