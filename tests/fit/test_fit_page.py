"""The page of a fit: each family is told from others, and each mark leads to its network."""

from __future__ import annotations

import html as markup
import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.architecture import ARCHITECTURES
from edgenet.fit import front
from edgenet.fit.accuracy import Accuracy
from edgenet.fit.point import Point
from edgenet.fit.record import Excess, Fit, Limits, Row
from edgenet.report import fit_page, scatter
from edgenet.report.html import style
from edgenet.report.plot import Axes
from edgenet.report.scatter import Mark

LARGE = [name for name, family in ARCHITECTURES.items() if family.stem_stride == 2]
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")


def row(arch: str, alpha: float, side: int, top1: float | None, latency_ms: float) -> Row:
    accuracy = None if top1 is None else Accuracy(top1, "ImageNet", "published", "there")
    point = Point(arch, alpha, side, 10)
    over = {"latency": Excess(latency_ms, 20.0)} if latency_ms > 20 else {}
    return Row(
        name=point.name, point=point, macs=int(latency_ms * 1e6), flash=1000, accuracy=accuracy,
        latency_ms=latency_ms, over=over,
    )  # fmt: skip


def made(*rows: Row, limit: float | None = 20.0) -> Fit:
    ahead = front.front(rows, "latency_ms")
    shown = tuple(msgspec.structs.replace(one, front=one.name in ahead) for one in rows)
    return Fit(
        edgenet="0", command="edgenet fit", target="pc", board=None, cost="latency_ms", rows=shown,
        limits=Limits(latency_ms=limit, sources={"latency": "given"}), calibration="made up",
        recommended=front.recommended(rows),
    )  # fmt: skip


SOME = (
    row("mobilenet_v1", 0.25, 96, None, 2.0),
    row("mobilenet_v1", 0.5, 128, 0.563, 9.0),
    row("mobilenet_v2", 0.5, 128, 0.577, 6.0),
    row("mobilenet_v3_small", 1.0, 224, 0.675, 12.0),
    row("mobilenet_v3_large", 1.0, 224, 0.752, 44.0),
)


def broad(page: str) -> str:
    """The drawing for screens."""
    found = re.search(r'<svg class="broad".*?</svg>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_no_two_families_look_alike() -> None:
    looks = {
        (scatter.colour(number), re.sub(r"[\d.-]+", "", scatter.legend([(number, "")])))
        for number in range(len(ARCHITECTURES))
    }
    assert len(looks) == len(ARCHITECTURES)
    page = fit_page.page(
        made(*(row(arch, 1.0, 96 + n, 0.5, 2.0 + n) for n, arch in enumerate(LARGE)))
    )
    keys = re.findall(r'<li><svg[^>]*><path class="point (s\d)"', page)
    assert len(set(keys)) == len(LARGE) == 6


def test_a_family_looks_the_same_whatever_else_is_on_the_page() -> None:
    pages = fit_page.page(made(*SOME)), fit_page.page(made(SOME[3]))
    looks = {
        re.search(r'<path (class="point s\d"[^>]*)/></svg>mobilenet_v3_small<', one)[1]
        for one in pages
    }  # type: ignore[index]
    assert len(looks) == 1


def test_the_one_to_train_is_ringed_and_named_and_every_mark_says_what_to_train() -> None:
    drawn = broad(fit_page.page(made(*SOME)))
    assert drawn.count('class="ring"') == 1
    assert ">v3_small_1.0_224: 67.5 %</text>" in drawn
    assert ">v2_0.5_128</text>" in drawn
    tips = re.findall(r"<title>([^<]*)</title>", drawn)
    assert {tip.splitlines()[0] for tip in tips} == {one.name for one in SOME if one.accuracy}
    assert "mobilenet_v2_0.5_128\ntop-1 57.7 %, 6 ms" in tips


def test_what_does_not_fit_is_hollow_and_in_the_key_where_there_is_any() -> None:
    some, fitting = fit_page.page(made(*SOME)), fit_page.page(made(*SOME[:4]))
    assert broad(some).count('class="point out') == 1
    assert (
        "mobilenet_v3_large_1.0_224\ntop-1 75.2 %, 44 ms\ndoes not fit, too much: latency" in some
    )
    assert ">does not fit</li>" in some
    assert "does not fit" not in fitting
    assert "at most 20 ms</text>" in some


def test_the_page_counts_what_it_does_not_draw() -> None:
    assert "Not drawn: 1 whose accuracy or cost is not known." in fit_page.page(made(*SOME))
    assert "Not drawn" not in fit_page.page(made(*SOME[1:]))


def test_a_network_that_the_device_cannot_run_is_hollow_and_not_among_the_undrawn():
    refused = msgspec.structs.replace(SOME[3], refused="it has no operator HARD_SWISH")
    page = fit_page.page(made(*SOME[:3], refused))
    assert ">does not run there</li>" in page
    assert "top-1 67.5 %, 12 ms\ndoes not run there" in page
    assert "Not drawn: 1 whose" in page


def test_the_next_command_can_be_copied_and_facts_are_no_warnings() -> None:
    page = fit_page.page(made(*SOME))
    command = "edgenet train --like mobilenet_v3_small_1.0_224 --data DATA -o RUN"
    assert f'<pre class="command"><code>{command}</code></pre>' in page
    assert "<li>Latency: made up.</li>" in page
    assert 'class="note"' not in page
    assert '<span class="badge ok">train</span>' in page


def test_marks_at_the_ends_lie_within_the_frame() -> None:
    drawn = broad(fit_page.page(made(*SOME, limit=None)))
    across = [float(x) for x in re.findall(r'class="point[^"]*" d="M([\d.]+)', drawn)]
    width, _ = scatter.BROAD
    assert len(across) == 4
    assert min(across) > 40 + 10
    assert max(across) < width - 10 - 20


def test_nothing_known_of_accuracy_is_said_instead_of_drawn() -> None:
    page = fit_page.page(made(SOME[0]))
    assert "<svg" not in page
    assert "No accuracy of these networks is known" in page


@given(
    st.lists(
        st.tuples(st.floats(1, 100), st.floats(0, 100), st.integers(3, 30)), min_size=1, max_size=25
    ),
    st.sampled_from([scatter.BROAD, scatter.NARROW]),
)
def test_names_never_lie_on_each_other_and_the_best_has_one(
    points: list[tuple[float, float, int]], size: tuple[int, int]
) -> None:
    marks = [Mark(x, y, 0, "n" * length, "", "front") for x, y, length in points[1:]]
    marks.append(Mark(*points[0][:2], 0, "best", "", "best"))
    axes = Axes("", "", log_x=True, x_range=(0.8, 120.0), y_range=(0.0, 100.0))
    whole = scatter.scatter(marks, axes, title="")
    drawn = whole[whole.index(f'viewBox="0 0 {size[0]}') :].partition("</svg>")[0]
    found = re.findall(
        r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="start" class="strong( best)?">(n+|best)<',
        drawn,
    )
    assert sum(bool(best) for *_, best, _ in found) == 1
    boxes = [(float(x), float(y), float(x) + 6.3 * len(said)) for x, y, _, said in found]
    for number, (left, base, right) in enumerate(boxes):
        assert right <= size[0] + 10
        for other_left, other_base, other_right in boxes[:number]:
            apart = right < other_left or other_right < left
            assert apart or abs(base - other_base) > 11


def test_the_style_sheet_shows_one_size_of_a_drawing_at_a_time() -> None:
    screen, _, phone = style().partition("@media (max-width: 40rem)")
    assert "svg.narrow { display: none; }" in screen
    assert "svg.broad { display: none; }" in phone
    assert "svg.narrow { display: block; }" in phone


@pytest.mark.slow
@pytest.mark.tool("chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_without_scrolling_sideways(tmp_path: Path, width: int) -> None:
    size = "<script>parent.document.title = document.documentElement.scrollWidth</script>"
    inner = markup.escape(fit_page.page(made(*SOME)) + size, quote=True)
    frame = f'<iframe width="{width}" height="800" style="border:0" srcdoc="{inner}"></iframe>'
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title></title>{frame}")
    words = ["chromium", *QUIET, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom"]
    done = subprocess.run(
        [*words, file.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    assert f"<title>{width}</title>" in done.stdout
