"""What ``edgenet fit --search`` shows."""

from __future__ import annotations

import msgspec
import pytest

from edgenet.fit.accuracy import Accuracy
from edgenet.fit.point import Point
from edgenet.fit.record import Fit, Limits, Row
from edgenet.fit.trained import Result
from edgenet.report import fit_search, fit_search_page


def row(alpha: float, **changes: object) -> Row:
    point = Point("mobilenet_v1", alpha, 96, 10)
    known = {"name": f"mobilenet_v1_{alpha}_96", "point": point, "macs": round(1e8 * alpha)}
    return Row(**(known | {"flash": 1000, "ram": 2000} | changes))


def found(*rows: Row, **changes: object) -> Fit:
    known = {"edgenet": "1", "command": "", "target": "mcu", "board": "nano33ble", "stack": 1024}
    known |= {"limits": Limits(), "cost": "macs", "rows": rows}
    return Fit(**(known | changes))


def result(alpha: float, top1: float, trial: int = 0) -> Result:
    return Result(trial, f"mobilenet_v1_{alpha}_96", 0.1, top1, 200, 9.0, f"trials/00{trial}-x")


def test_a_network_that_fits_row_by_row_is_exported_so():
    fit = found(row(0.25, sram_budget=65536), row(0.5))
    text = fit_search.text(fit, [result(0.25, 0.9), result(0.5, 0.8, 1)], "s", "flowers")
    assert "2,000*" in text
    assert "* fits if layers run row by row: edgenet export --sram-budget 65536" in text
    assert (
        "edgenet export --target mcu --board nano33ble --sram-budget 65536"
        " --model s/trials/000-x --data flowers"
    ) in text
    page = fit_search_page.page(fit, [result(0.25, 0.9)], "s", "flowers")
    assert "--board nano33ble --sram-budget 65536 --model s/trials/000-x" in page


def test_a_network_that_fits_as_it_is_needs_no_budget():
    fit = found(row(0.25, sram_budget=65536), row(0.5))
    text = fit_search.text(fit, [result(0.5, 0.9)], "s", "flowers")
    assert "*" not in text
    assert "--sram-budget" not in text


def test_what_was_predicted_stands_beside_what_was_trained():
    published = Accuracy(0.5, "ImageNet", "published", "paper")
    fit = found(row(0.25, accuracy=published), row(0.5))
    best, other = result(0.5, 0.9), result(0.25, 0.8, 1)
    rows = fit_search.record(fit, [best, other])
    assert [(one["predicted_top1"], one["top1"]) for one in rows] == [(None, 0.9), (0.5, 0.8)]
    assert "50.0%" in fit_search.text(fit, [best, other], "s", "flowers")
    page = fit_search_page.page(fit, [best, other], "s", "flowers")
    assert "mobilenet_v1_0.25_96\npredicted: top-1 50.0 % (published)" in page
    assert "mobilenet_v1_0.25_96, lr 0.1\ntrained: top-1 80.0 %, trials/001-x" in page
    # both are drawn, on a page that is wide and on one that is not
    assert page.count("predicted: top-1") == 2
    assert page.count("trained: top-1") == 4


def test_the_front_of_the_page_is_what_nothing_as_cheap_beats():
    fit = found(row(0.25), row(0.5), row(0.75))
    trained = [result(0.5, 0.9), result(0.75, 0.8, 1), result(0.25, 0.7, 2), result(0.25, 0.6, 3)]
    pairs = [(one, fit.row(one.name)) for one in trained]
    marks = list(fit_search_page._trained(pairs, "macs"))
    assert [one.kind for one in marks] == ["best", "in", "front", "in"]


def test_a_page_of_nothing_says_so():
    assert "Nothing was trained yet" in fit_search_page.page(found(row(0.25)), [], "s", "flowers")


@pytest.mark.parametrize("cost", ["latency_ms", "macs"])
def test_the_page_is_drawn_over_the_cost_that_is_known(cost):
    fit = found(row(0.25, latency_ms=3.0), row(0.5, latency_ms=6.0), cost=cost)
    page = fit_search_page.page(fit, [result(0.25, 0.9), result(0.5, 0.8, 1)], "s", "flowers")
    assert ("predicted latency, ms" in page) == (cost == "latency_ms")
    untimed = msgspec.structs.replace(fit, rows=(row(0.25), row(0.5)))
    page = fit_search_page.page(untimed, [result(0.25, 0.9)], "s", "flowers")
    assert "multiply-adds, millions" in page
