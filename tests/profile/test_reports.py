"""A profile as text, CSV and a page."""

from __future__ import annotations

import csv
import html
import io
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from edgenet.environment import State
from edgenet.profile.profiles import HostProfile, of
from edgenet.profile.record import Operator, Unmeasured
from edgenet.report import profile_csv, profile_hosts, profile_page, profile_text

from .conftest import PI5, MakeProfile, MakeRun, MakeSustained

STATES = (
    State(-0.5, 51.25, (1500.0, 2400.0), "performance", 0x0, None, 0.5),
    State(0.5, 60.75, (2400.0, 2400.0), "performance", 0x0, None, 0.9),
)


def test_text_names_machine_engine_threads_and_governor(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    text = profile_text.text(make_profile(make_run(threads=2, states=STATES)))
    assert "4x Cortex-A76, Raspberry Pi 5 Model B Rev 1.0, 4 cores, Debian" in text
    assert "ai-edge-litert 2.3.0; Python 3.13.5, edgenet 0.1.0" in text
    assert "governor performance; 1500 to 2400 MHz; 51 to 61 °C; not throttled" in text
    assert re.search(
        r"^int8\.tflite +2 +3 +2\.000 +3\.000 +3\.800 +3\.900 +3\.980 +4\.000 +3\.000 +0\.816$",
        text,
        re.MULTILINE,
    )
    assert re.search(
        r"^int8\.tflite +2 +6\.500 +9\.250 +2\.750 +1\.000 +3\.000 +0\.500 +4\.600 +15\.0 MiB"
        r" +951\.6 KiB$",
        text,
        re.MULTILINE,
    )
    assert "recommended: int8.tflite, 2 threads, 4.600 ms a frame" in text


def test_text_says_what_is_not_known(make_run: MakeRun, make_profile: MakeProfile) -> None:
    run = make_run(throttled=None, memory=None, warmup_avg_ms=None)
    text = profile_text.text(make_profile(run))
    assert "governor not known; clock not known; temperature not known; throttling not" in text
    assert re.search(r"^int8\.tflite .* - +951\.6 KiB$", text, re.MULTILINE)


def test_a_throttled_run_is_marked_at_each_of_its_lines(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    operators = (Operator(0, "Conv", "conv1", 0.25, 1.0),)
    slow = make_run(invoke=[2.0], throttled=("under-voltage",), operators=operators)
    good = make_run("fp32.tflite", invoke=[9.0])
    text = profile_text.text(make_profile(slow, good))
    for line in text.splitlines():
        if line.startswith("int8.tflite  LiteRT"):
            assert line.endswith("4.50x THROTTLED")
        elif "int8.tflite" in line and "note:" not in line:
            assert line.endswith("THROTTLED (under-voltage)")
        if line.startswith("fp32.tflite"):
            assert "THROTTLED" not in line
    assert "THROTTLED in 1 of 2 runs" in text


def test_the_slowest_operators_come_first_and_the_rest_is_counted(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    operators = tuple(Operator(n, f"Kind{n}", f"op{n}", n / 100, n / 78) for n in range(13))
    text = profile_text.text(make_profile(make_run(operators=operators)))
    shown = re.findall(r"^Kind(\d+)", text, re.MULTILINE)
    assert shown == ["12", "11", "10", "9", "8", "7", "6", "5", "4", "3"]
    assert "... and 3 more" in text


def test_nothing_measured_is_still_a_report(make_profile: MakeProfile) -> None:
    profile = make_profile(unmeasured=[Unmeasured("int8.onnx", 1, "no <engine>", True)])
    assert "note: int8.onnx, 1 thread was not measured: no <engine>" in profile_text.text(profile)
    assert "no &lt;engine&gt;" in profile_page.page(profile)
    assert profile_csv.text(profile).count("\n") == 1


def test_csv_has_a_row_for_each_stage_with_the_machine_beside(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    profile = make_profile(
        make_run(states=STATES), make_run("fp32.onnx", throttled=("throttled", "under-voltage"))
    )
    rows = list(csv.DictReader(io.StringIO(profile_csv.text(profile))))
    assert [row["stage"] for row in rows[:4]] == ["preprocess", "invoke", "postprocess", "total"]
    assert len(rows) == 8
    invoke = rows[1]
    assert (invoke["variant"], invoke["threads"], invoke["count"]) == ("int8.tflite", "1", "3")
    assert float(invoke["p95_ms"]) == 3.9
    assert (invoke["mhz_min"], invoke["mhz_max"]) == ("1500.0", "2400.0")
    assert (invoke["governor"], invoke["temperature_c_max"]) == ("performance", "60.75")
    assert (invoke["board"], invoke["throttled"]) == (PI5.board, "no")
    assert {row["throttled"] for row in rows[4:]} == {"throttled; under-voltage"}
    assert {row["temperature_c_max"] for row in rows[4:]} == {""}


class Page(HTMLParser):
    """Checks that tags close in order, and keeps what would reach out of the page."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.words: list[str] = []
        self.anchors: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.outside.append(f"{tag} {value}")
            if name == "href":
                self.anchors.append((value or "").removeprefix("#"))
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_one_whole_file_without_script_or_network(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    operators = (Operator(0, "Conv", "conv1", 0.25, 1.0),)
    text = profile_page.page(make_profile(make_run(states=STATES, operators=operators)))
    page = Page(text)
    assert page.open == []
    assert page.outside == []
    assert "<script" not in text
    assert not re.search(r"url\(|@import|https?:", text)
    assert page.anchors == ["latency", "stages", "runs", "machine"]
    assert set(page.anchors) <= set(page.ids)
    assert "prefers-color-scheme: dark" in text


def test_the_page_escapes_what_it_is_given(make_run: MakeRun, make_profile: MakeProfile) -> None:
    nasty = "<script>alert('&')</script>"
    machine = msgspec.structs.replace(PI5, board=nasty, cpu=nasty)
    text = profile_page.page(
        make_profile(make_run(engine=nasty), machine=machine, bundle=nasty, command=nasty)
    )
    assert "<script" not in text
    assert Page(text).open == []
    assert nasty in Page(text).words


def test_the_page_marks_a_throttled_run_wherever_it_appears(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    slow = make_run("int8.tflite", invoke=[1.4], throttled=("under-voltage",))
    text = profile_page.page(make_profile(slow, make_run("fp32.tflite")))
    latency, stages, runs = (
        text.partition(f'<section id="{name}">')[2].partition("</section>")[0]
        for name in ("latency", "stages", "runs")
    )
    assert latency.count('int8.tflite <span class="badge bad">throttled</span>') == 1
    assert '1.400 <span class="badge bad">throttled</span></td>' in latency
    assert '2.14x <span class="badge bad">throttled</span></td>' in latency
    assert "THROTTLED: int8.tflite" in latency
    assert stages.count('int8.tflite <span class="badge bad">throttled</span>') == 1
    assert "int8.tflite, 1 thread (THROTTLED)" in stages
    assert "<summary>int8.tflite, 1 thread THROTTLED</summary>" in runs
    assert "Throttled: under-voltage." in runs
    assert 'fp32.tflite <span class="badge' not in text


def test_temperature_and_clock_are_drawn_where_they_are_known(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    known = profile_page.page(make_profile(make_run(states=STATES)))
    unknown = profile_page.page(make_profile(make_run()))
    for name in ("temperature during", "clock during"):
        assert name in known
        assert name not in unknown


SIZE = """<script>
parent.document.title = document.documentElement.scrollWidth + "/" + innerWidth
</script>"""
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.mark.slow
@pytest.mark.tool("chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("machines", [1, 4])
def test_a_browser_shows_the_page_without_scrolling_sideways(
    make_run: MakeRun,
    make_profile: MakeProfile,
    make_sustained: MakeSustained,
    tmp_path: Path,
    width: int,
    machines: int,
) -> None:
    invoke = [1.0 + 0.01 * n for n in range(300)] + [40.0]
    runs = [
        make_run(variant, threads, invoke, states=STATES, throttled=("under-voltage",))
        for variant in ("fp32.tflite", "int8.onnx")
        for threads in (1, 2, 4)
    ]
    profile = make_profile(*runs, sustained=make_sustained(states=STATES))
    several = [HostProfile(f"pi@board{n}.local", profile) for n in range(3)]
    several.append(HostProfile("pi@off", None, "pi@off cannot be reached; is it switched on?"))
    page = profile_page.page(profile) if machines == 1 else profile_hosts.page(of(*several))
    inner = html.escape(page + SIZE, quote=True)
    # A window is at least 500 pixels wide; a frame in it can be as narrow as a phone.
    frame = f'<iframe width="{width}" height="800" style="border:0" srcdoc="{inner}"></iframe>'
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title></title>{frame}")
    done = subprocess.run(
        [
            "chromium",
            *QUIET,
            f"--user-data-dir={tmp_path / 'browser'}",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"<title>{width}/{width}</title>" in done.stdout
