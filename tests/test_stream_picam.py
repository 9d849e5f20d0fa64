"""picamera2 is held to its recorded signatures, and the source to a stand-in that has them."""

from __future__ import annotations

import inspect
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import SourceError, UsageError
from edgenet.stream import picam
from edgenet.stream.source import is_live, open_source

from . import picamera2_standin

GOLDEN = json.loads((Path(__file__).parent / "golden" / "picamera2.json").read_text())
SIGNATURES = GOLDEN["signatures"]


@pytest.fixture
def camera(monkeypatch):
    """The stand-in as ``picamera2``, with a camera of its own."""
    camera = picamera2_standin.Camera()
    monkeypatch.setattr(picamera2_standin, "CAMERA", camera)
    monkeypatch.setitem(sys.modules, "picamera2", picamera2_standin)
    return camera


# the stand-in has the real signatures


def of(module, name):
    """Kind and parameters of a method, as make_golden_picamera2.py records them."""
    owner, method = name.split(".")
    found = inspect.getattr_static(getattr(module, owner), method)
    kind = {staticmethod: "staticmethod", property: "property"}.get(type(found), "method")
    function = {"staticmethod": "__func__", "property": "fget"}.get(kind)
    parameters = inspect.signature(getattr(found, function) if function else found).parameters
    return kind, [(p.name, p.default is inspect.Parameter.empty) for p in parameters.values()]


def recorded(name):
    entry = SIGNATURES[name]
    parameters = [(parameter, default is None) for parameter, default in entry["parameters"]]
    return entry["kind"], parameters


@pytest.mark.parametrize("name", SIGNATURES)
def test_stand_in_has_the_recorded_signature(name):
    assert of(picamera2_standin, name) == recorded(name)


@pytest.mark.parametrize("name", SIGNATURES)
def test_stand_in_has_the_recorded_defaults(name):
    owner, method = name.split(".")
    found = inspect.getattr_static(getattr(picamera2_standin, owner), method)
    if isinstance(found, property):
        return
    function = getattr(found, "__func__", found)
    for parameter, default in SIGNATURES[name]["parameters"]:
        if default is not None and default != "libcamera.Transform()":
            assert repr(inspect.signature(function).parameters[parameter].default) == default


def test_installed_picamera2_has_the_recorded_signatures():
    real = pytest.importorskip(
        "picamera2", reason="picamera2 is not installed here", exc_type=ImportError
    )
    assert {name: of(real, name) for name in SIGNATURES} == {n: recorded(n) for n in SIGNATURES}


def test_nothing_else_of_picamera2_is_called():
    """What the source calls on the camera and its requests is what is recorded."""
    text = inspect.getsource(picam)
    called = {name.split(".")[1] for name in SIGNATURES} - {"__init__"}
    for name in called:
        assert f".{name}" in text, name
    camera_calls = {part.split("(")[0] for part in text.split("camera.")[1:] if "(" in part[:40]}
    assert {c for c in camera_calls if c.isidentifier()} - {"get"} <= called
    request_calls = {part.split("(")[0] for part in text.split("request.")[1:]}
    assert {c for c in request_calls if c.isidentifier()} <= called


# the source


def test_frames_are_rgb_with_the_time_of_their_exposure(camera):
    source = open_source("picam:320x240@30")
    before = time.monotonic() * 1e3
    first, second = (frame for frame, _ in zip(source, range(2), strict=False))
    after = time.monotonic() * 1e3
    assert (first.index, second.index, first.name) == (0, 1, "picam")
    np.testing.assert_array_equal(first.rgb[0, 0], camera.colour)
    assert first.rgb.shape == (240, 320, 3)
    assert first.rgb.flags.c_contiguous
    assert before - 20 <= first.captured_ms <= second.captured_ms <= after - 20
    source.close()


def test_rows_that_lie_a_stride_apart_are_put_together(camera):
    (frame, *_) = (frame for frame, _ in zip(open_source("picam:100x50"), range(1), strict=False))
    assert camera.configuration["main"]["stride"] == 320
    assert (frame.rgb == camera.colour).all()


def test_camera_is_asked_for_fresh_rgb_frames_of_the_whole_sensor(camera):
    open_source("picam:320x240@25")
    asked = camera.configuration
    assert asked["queue"] is False
    assert 2 <= asked["buffer_count"] <= 4
    assert asked["main"]["format"] == "BGR888"
    assert asked["controls"] == {"FrameDurationLimits": (40000, 40000)}
    # not the mode of 640x480, which sees the middle ninth
    assert asked["sensor"] == {"output_size": (1640, 1232), "bit_depth": 10}
    assert camera.started == 1


def test_faster_than_the_whole_sensor_takes_the_mode_that_is_fast_enough(camera):
    open_source("picam:320x240@120")
    assert camera.configuration["sensor"]["output_size"] == (640, 480)


def test_camera_without_known_modes_is_left_to_choose(camera):
    camera.modes = [{"format": "MJPEG"}, {"format": "YUYV"}]
    open_source("picam")
    assert camera.configuration["sensor"] == {}


def test_every_request_is_given_back(camera):
    frames = iter(open_source("picam"))
    for _ in range(20):
        next(frames)
    assert camera.free == camera.configuration["buffer_count"]


def test_request_is_given_back_when_its_picture_cannot_be_made(camera, monkeypatch):
    frames = iter(open_source("picam"))

    def fail(self, name):
        raise MemoryError

    monkeypatch.setattr(picamera2_standin.CompletedRequest, "make_array", fail)
    with pytest.raises(MemoryError):
        next(frames)
    assert camera.free == camera.configuration["buffer_count"]


def test_what_is_granted_is_said_in_words(camera):
    events = []
    next(iter(open_source("picam:320x240@30", on_event=events.append)))
    camera.granted_size, camera.granted_duration_us = (320, 200), 100_000
    next(iter(open_source("picam:320x240@30", on_event=events.append)))
    assert events == [
        "picam gives 320x240@30",
        "picam gives 320x200@10, not the 320x240@30 that was asked for",
    ]


@pytest.mark.parametrize("stamped", [True, False])
def test_frame_without_a_credible_time_has_that_of_its_arrival(camera, stamped):
    camera.stamped, camera.exposed_ns_ago = stamped, -(10**18)
    before = time.monotonic() * 1e3
    frame = next(iter(open_source("picam")))
    assert before <= frame.captured_ms <= time.monotonic() * 1e3


def test_close_calls_off_a_request_that_waits(camera):
    camera.silent = True
    source = open_source("picam")
    ended = threading.Event()

    def read():
        if list(source) == []:
            ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert camera.waiting.wait(60)
    source.close()
    assert ended.wait(60)
    source.close()
    assert camera.closed == 1


def test_camera_that_falls_silent_is_an_error(camera, monkeypatch):
    monkeypatch.setattr(picam, "_SILENCE_S", 0.01)
    source = open_source("picam")
    frames = iter(source)
    next(frames)
    camera.silent = True
    with pytest.raises(SourceError, match=r"picam: no frame for 0\.01 s; check the ribbon cable"):
        next(frames)
    # the job that was not answered is called off, else its buffer would be lost
    assert camera.cancelled.is_set()
    source.close()
    assert camera.closed == 1


def test_second_camera_has_a_number(camera):
    camera.models = ["imx708", "imx219"]
    assert next(iter(open_source("picam1:64x64"))).name == "picam1"
    with pytest.raises(
        SourceError, match=r"no camera picam2; there is picam \(imx708\), picam1 \(imx219\)"
    ):
        open_source("picam2")


def test_no_camera_at_all_says_what_to_check(camera):
    camera.models = []
    with pytest.raises(SourceError, match="picam: libcamera sees no camera; check the ribbon"):
        open_source("picam")


def test_busy_camera_is_refused(camera):
    camera.busy = True
    with pytest.raises(SourceError, match="another program may be using it"):
        open_source("picam")


def test_camera_that_does_not_start_is_let_go(camera):
    camera.refuses_to_start = True
    with pytest.raises(SourceError, match=r"picam: does not start .*resource busy"):
        open_source("picam")
    assert camera.closed == 1


@pytest.mark.parametrize(
    "fault",
    [
        ModuleNotFoundError("No module named 'libcamera'"),
        ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
    ],
)
def test_picamera2_that_cannot_be_loaded_names_the_two_commands(monkeypatch, fault):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "picamera2":
                raise fault

    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(SourceError) as refused:
        open_source("picam")
    assert str(fault) in str(refused.value)
    assert "sudo apt install python3-picamera2" in str(refused.value)
    assert "--system-site-packages" in str(refused.value)


@pytest.mark.parametrize(
    "words", ["picam:fast", "picam:640", "picam:640x480@", "picam:0x0", "picam:640x480@0", "picam:"]
)
def test_words_are_checked_before_anything_is_opened(words):
    if words == "picam:":
        assert is_live(words)
        return
    with pytest.raises(UsageError, match=r"^'picam:"):
        is_live(words)
