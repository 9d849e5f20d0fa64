"""Sustained runs, energy, engines side by side and emulation, in every form of a report."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET

import msgspec
import pytest

from edgenet.environment import Episode, State
from edgenet.profile.energy import Energy
from edgenet.profile.recommend import fastest
from edgenet.report import profile_csv, profile_page, profile_text, profile_timeline
from edgenet.report.profile_timeline import Panel, draw

from .conftest import PI5, MakeProfile, MakeRun, MakeSustained

HOT = (
    State(-1.0, 50.0, (2400.0,), "performance", 0x0, watts=3.0),
    State(10.0, 70.0, (2400.0,), "performance", 0x0, arm_mhz=2400.0, watts=7.0),
    State(20.0, 81.0, (2400.0,), "performance", 0x80008, arm_mhz=1500.0, watts=6.0),
    State(31.0, 82.5, (2400.0,), "performance", 0x80008, arm_mhz=1500.0, watts=6.0),
)


def test_text_sets_burst_against_sustained(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    text = profile_text.text(make_profile(sustained=make_sustained(cooled_s=12.0)))
    assert "sustained: int8.tflite, 4 threads, 30 s" in text
    assert re.search(r"^burst \(first 3 s\) +3 +1\.900 +2\.000 ", text, re.MULTILINE)
    assert re.search(r"^sustained \(last third\) +3 +2\.900 +3\.000 ", text, re.MULTILINE)
    assert "sustained over burst: 1.50 times as long\n" in text
    assert "whether the board was slowed down is not known" in text
    assert "slowed down from" not in text


def test_a_throttled_sustained_run_is_marked_in_the_text(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    text = profile_text.text(make_profile(sustained=make_sustained(states=HOT)))
    lines = [line for line in text.splitlines() if line.startswith(("burst (", "sustained ("))]
    assert len(lines) == 2
    assert all(line.endswith("THROTTLED (soft temperature limit)") for line in lines)
    assert "1.50 times as long (THROTTLED)" in text
    assert "temperature from 50 to at most 82 °C" in text
    assert "clock 1500 to 2400 MHz" in text
    assert "slowed down from 10 s to 31 s: soft temperature limit" in text
    assert "THROTTLED in 1 of 2 runs" in text
    assert "1500 to 2400 MHz measured, 2400 MHz asked for" in text
    assert "note: in the sustained run of int8.tflite, 4 threads the board was slowed" in text


def test_many_episodes_are_summed_up(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    states = [State(float(at), throttle_bits=0x40004 if at % 2 else 0x40000) for at in range(40)]
    text = profile_text.text(make_profile(sustained=make_sustained(states=states)))
    assert len(re.findall(r"^  slowed down (?:from|at)", text, re.MULTILINE)) == 6
    assert "slowed down 20 times in all, for 20 s together" in text


def test_csv_has_rows_for_burst_and_sustained(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    text = profile_csv.text(make_profile(sustained=make_sustained(states=HOT)))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["part"] for row in rows] == ["run"] * 4 + ["burst", "sustained"]
    assert [row["p50_ms"] for row in rows[4:]] == ["2.0", "3.0"]
    assert {row["throttled"] for row in rows[4:]} == {"soft temperature limit"}
    assert {row["temperature_c_max"] for row in rows[4:]} == {"82.5"}


def test_the_page_draws_the_sustained_run_and_shades_throttling(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    page = profile_page.page(make_profile(sustained=make_sustained(states=HOT)))
    part = page.partition('<section id="sustained">')[2].partition("</section>")[0]
    assert '1.50 times <span class="badge bad">throttled</span>' in part
    assert '2.000 ms <span class="badge bad">throttled</span>' in part
    assert 'burst (first 3 s) <span class="badge bad">throttled</span>' in part
    for words in ("milliseconds of invoke", "temperature, °C", "clock, MHz", "power of the rails"):
        assert f">{words}" in part
    assert part.count('class="slowed"') == 4 + 1
    assert "burst p50 2.000, sustained p50 3.000" in part


def test_what_the_machine_does_not_tell_has_no_panel(
    make_profile: MakeProfile, make_sustained: MakeSustained
) -> None:
    page = profile_page.page(make_profile(sustained=make_sustained()))
    part = page.partition('<section id="sustained">')[2].partition("</section>")[0]
    assert "milliseconds of invoke" in part
    for words in ("temperature, °C", "clock", "power of", 'class="slowed"'):
        assert words not in part


def test_a_page_without_a_sustained_run_has_no_such_part(make_profile: MakeProfile) -> None:
    assert 'id="sustained"' not in profile_page.page(make_profile())


def test_panels_share_the_axis_of_time_and_shades_are_where_they_belong() -> None:
    panel = Panel("one", [(1, [(0.0, 1.0), (100.0, 2.0)])], 100, low=0.0)
    drawn = draw(
        [panel, panel],
        100.0,
        [Episode(25.0, 50.0, ("a & b",)), Episode(-5.0, -1.0, ("x",))],
        title="t",
    )
    root = ET.fromstring(drawn)
    shades = root.findall("rect")
    assert len(shades) == 2
    left, width = float(shades[0].attrib["x"]), float(shades[0].attrib["width"])
    whole = profile_timeline.WIDTH - 44 - 16
    assert (left, width) == pytest.approx((44 + whole / 4, whole / 4), abs=0.1)
    assert float(shades[0].attrib["y"]) < float(shades[1].attrib["y"])
    assert shades[0].findtext("title") == "throttled: a & b"
    lines = [path for path in root.findall("path") if "line" in path.attrib["class"]]
    assert lines[0].attrib["d"].startswith("M44.0 ")


def test_an_episode_at_the_very_end_stays_within_the_plot() -> None:
    panel = Panel("one", [(1, [(0.0, 1.0), (100.0, 2.0)])], 100, low=0.0)
    root = ET.fromstring(draw([panel], 100.0, [Episode(100.0, 100.2, ("x",))], title="t"))
    (shade,) = root.findall("rect")
    right = float(shade.attrib["x"]) + float(shade.attrib["width"])
    assert right <= profile_timeline.WIDTH - 16 + 0.1


def test_engines_are_set_against_each_other_and_against_float(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = [
        make_run("fp32.tflite", 1, [8.0], delegated=True),
        make_run("fp32.tflite", 2, [4.0], delegated=True),
        make_run("int8.tflite", 1, [2.0], delegated=True),
        make_run("int8.tflite", 2, [1.0], delegated=True),
        make_run("int8.onnx", 1, [3.0]),
    ]
    text = profile_text.text(make_profile(*runs))
    assert re.search(r"^variant +engine +1 thread +2 threads +scaling +against fp32$", text, re.M)
    assert re.search(
        r"^int8\.tflite +LiteRT \(XNNPACK\) +2\.000 +1\.000 +2\.00x +4\.00x$", text, re.M
    )
    assert re.search(r"^int8\.onnx +ONNX Runtime +3\.000 +- +- +-$", text, re.M)
    assert "LiteRT (XNNPACK)" in profile_page.page(make_profile(*runs))


def test_an_engine_without_its_delegate_is_named_so(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    runs = make_run("int8.tflite", delegated=False), make_run("fp32.tflite", delegated=False)
    assert "LiteRT (no delegate)" in profile_text.text(make_profile(*runs))


def test_energy_is_told_with_what_it_leaves_out(
    make_run: MakeRun, make_profile: MakeProfile
) -> None:
    spent = Energy(watts=6.5, idle_watts=3.25, mj_per_frame=15.6, readings=2)
    slow = make_run(throttled=("throttled",))
    profile = make_profile(msgspec.structs.replace(slow, energy=spent))
    text = profile_text.text(profile)
    assert re.search(
        r"^int8\.tflite +1 +15\.6 +6\.50 +3\.25 +2  THROTTLED \(throttled\)$", text, re.M
    )
    assert "it leaves out the chip's own losses, USB devices, fan" in text
    assert "fewer than three readings" in text
    page = profile_page.page(profile)
    assert '<td class="n">15.6</td>' in page
    rows = list(csv.DictReader(io.StringIO(profile_csv.text(profile))))
    assert (rows[0]["watts"], rows[0]["mj_per_frame"]) == ("6.5", "15.6")
    assert "energy" not in profile_text.text(make_profile())


def test_an_emulated_machine_is_told_everywhere(make_profile: MakeProfile) -> None:
    machine = msgspec.structs.replace(PI5, emulator="QEMU", virtual=True)
    profile = make_profile(machine=machine)
    text, page = profile_text.text(profile), profile_page.page(profile)
    assert "EMULATED (QEMU)" in text.splitlines()[0]
    assert "note: this machine is emulated (QEMU): its timings mean nothing" in text
    assert "its timings mean nothing" in page
    assert '<span class="badge bad">QEMU</span>' in page
    assert ",QEMU," in profile_csv.text(profile)


def test_a_competing_service_is_told(make_profile: MakeProfile) -> None:
    profile = make_profile(competitors=("edgenet.service",))
    assert "edgenet.service was running and competed for the CPU" in profile_text.text(profile)
    assert "edgenet.service" in profile_page.page(profile)
    assert "edgenet.service" in profile_csv.text(profile)


def test_fastest_of_nothing_is_none() -> None:
    assert fastest([]) is None
