"""V4L2 cameras: the kernel's side is v4l2_shim.c, OpenCV is the real one; or what is plugged in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgenet import opencv
from edgenet.errors import MissingPackage, SourceError, UsageError
from edgenet.stream import v4l2
from edgenet.stream.fake import Fake
from edgenet.stream.mode import Mode
from edgenet.stream.source import is_live, open_source
from edgenet.stream.v4l2 import V4l2

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

HERE = Path(__file__).parent
# any character device will do: the shim answers for it, and sysfs is a folder of the test's
DEVICE = "/dev/zero"
FORMATS = {
    "MJPG": None,
    "YUYV": cv2.COLOR_RGB2YUV_YUYV,
    "UYVY": cv2.COLOR_RGB2YUV_UYVY,
    "YU12": cv2.COLOR_RGB2YUV_I420,
    "YV12": cv2.COLOR_RGB2YUV_YV12,
    "BGR3": cv2.COLOR_RGB2BGR,
    "RGB3": None,
    "GREY": cv2.COLOR_RGB2GRAY,
    "XR24": cv2.COLOR_RGB2BGRA,
}
READ = """
import json, os, sys, time
from edgenet.errors import SourceError
from edgenet.stream.fake import read_number
from edgenet.stream.mode import Mode
from edgenet.stream.v4l2 import V4l2
device, mode, *formats = sys.argv[1:]
for name in formats:
    os.environ["SHIM_FORMAT"] = name
    os.environ["SHIM_FRAMES"] = f"frames/{name}"
    events, frames = [], []
    source = V4l2(device, Mode.parse(mode, mode), on_event=events.append)
    try:
        for frame in source:
            age = time.monotonic() * 1e3 - frame.captured_ms
            left = [int(level) for level in frame.rgb[60, 20]]
            frames.append([frame.index, read_number(frame.rgb), frame.rgb.shape, age, left])
    except SourceError as error:
        end = str(error)
    source.close()
    print(json.dumps([name, events, frames, end]))
"""


@pytest.fixture
def sysfs(tmp_path, monkeypatch):
    """Names of V4L2 devices, as the kernel lists them."""
    monkeypatch.setattr(v4l2, "SYSFS", tmp_path / "video4linux")

    def add(device, name, index=0):
        entry = tmp_path / "video4linux" / device
        entry.mkdir(parents=True)
        (entry / "name").write_text(f"{name}\n")
        (entry / "index").write_text(f"{index}\n")

    return add


# OpenCV's own code against a camera that the shim plays


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """Folder with the compiled shim and frames of every format; frame 2 of MJPG is cut short."""
    folder = tmp_path_factory.mktemp("shim")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    command += ["-o", str(folder / "shim.so"), str(HERE / "v4l2_shim.c"), "-ldl"]
    subprocess.run(command, check=True)
    card = Fake(Mode((320, 240)))
    for name, code in FORMATS.items():
        (folder / "frames" / name).mkdir(parents=True)
        for number in range(4):
            rgb = card.picture(number)
            pixels = rgb if code is None else cv2.cvtColor(rgb, code)
            data = pixels.tobytes()
            if name == "MJPG":
                data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
                data = data[:1000] if number == 2 else data
            (folder / "frames" / name / str(number)).write_bytes(data)
    return folder


def read(shim, *formats, mode="320x240@30", **environment):
    """What V4l2 gives of a shimmed camera, format by format, and what the driver was asked."""
    log = shim / "log"
    log.write_text("")
    settings = {
        "SHIM_DEVICE": DEVICE, "SHIM_SIZE": "320x240", "SHIM_FPS": "30", "SHIM_LOG": str(log),
        "LD_PRELOAD": str(shim / "shim.so"),
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", READ, DEVICE, mode, *formats],
        env=os.environ | settings | environment,
        cwd=shim, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in run.stdout.splitlines()], log.read_text(
        "latin-1"
    ).splitlines()


@pytest.mark.tool("cc")
def test_frames_of_every_format_are_rgb_and_their_numbers_right(shim):
    found, _ = read(shim, *FORMATS)
    assert [name for name, *_ in found] == list(FORMATS)
    for name, events, frames, end in found:
        assert events == [f"{DEVICE} gives 320x240@30 as {name}"]
        # OpenCV passes over the first frame, which is often damaged
        good = [1, 3] if name == "MJPG" else [1, 2, 3]
        assert [number for _, number, *_ in frames] == good, name
        assert [index for index, *_ in frames] == [number - 1 for number in good]
        for _, _, shape, age_ms, (red, green, blue) in frames:
            assert shape == [240, 320, 3]
            assert 0 <= age_ms < v4l2._OLDEST_MS
            if name == "GREY":
                assert red == green == blue
            else:
                assert (red, green, blue) == pytest.approx((220, 30, 30), abs=6), name
        assert end == f"{DEVICE}: no frame; it may be unplugged or stuck"


@pytest.mark.tool("cc")
def test_format_is_asked_for_before_the_size_and_two_buffers_are(shim):
    _, log = read(shim, "MJPG")
    asked = [line for line in log if line.startswith(("format MJPG", "buffers"))]
    assert asked.index("format MJPG 640x480") < asked.index("format MJPG 320x240")
    assert [line for line in asked if line != "buffers 0"][-1] == "buffers 2"
    assert log[-2:] == ["off", "buffers 0"]


@pytest.mark.tool("cc")
def test_what_the_camera_grants_instead_is_said(shim):
    ((_, events, frames, _),), log = read(shim, "YUYV", mode="1280x720@60")
    assert events == [f"{DEVICE} gives 320x240@30 as YUYV, not the 1280x720@60 that was asked for"]
    assert len(frames) == 3
    assert "rate 60" in log


@pytest.mark.tool("cc")
def test_driver_that_stamps_with_another_clock_is_not_believed(shim):
    ((_, _, frames, _),), _ = read(shim, "YUYV", SHIM_CLOCK="realtime")
    assert [0 <= age_ms < v4l2._OLDEST_MS for _, _, _, age_ms, _ in frames] == [True] * 3


def test_time_of_a_frame_is_the_drivers_where_it_can_be():
    assert v4l2._captured_ms(1000.0, 1033.0) == 1000.0
    assert v4l2._captured_ms(1034.0, 1033.0) == 1033.0
    assert v4l2._captured_ms(0.0, 90_000.0) == 90_000.0


# which cameras there are


def test_pi_with_only_a_ribbon_cable_is_told_to_use_picam(sysfs):
    sysfs("zero", "unicam-image")
    with pytest.raises(
        SourceError, match=r"this is a libcamera camera \(unicam-image\), use picam; there is no"
    ):
        V4l2(DEVICE, Mode(), on_event=print)


@pytest.mark.parametrize("name", ["rp1-cfe-csi2_ch0", "bcm2835-isp-output0", "pispbe-input"])
def test_usb_camera_beside_the_ribbon_cable_is_named(sysfs, name):
    sysfs("zero", name)
    sysfs("video10", "HD Webcam: HD Webcam")
    sysfs("video11", "HD Webcam: HD Webcam", index=1)
    sysfs("video2", "bcm2835-codec-decode")
    with pytest.raises(SourceError, match=r"use picam; there is /dev/video10 \([^)]+\)$"):
        V4l2(DEVICE, Mode(), on_event=print)


def test_zero_is_the_first_camera(sysfs):
    if Path("/dev/video0").exists():
        pytest.skip("there is a camera")
    with pytest.raises(SourceError, match="no camera at /dev/video0; there is no V4L2 camera here"):
        open_source("0")
    sysfs("video3", "unicam-image")
    with pytest.raises(SourceError, match="one on a Raspberry Pi's ribbon cable is picam"):
        open_source("0:640x480@30")


def test_file_in_the_place_of_a_device_is_refused(sysfs, tmp_path):
    path = tmp_path / "video0"
    path.touch()
    with pytest.raises(SourceError, match="is no device"):
        V4l2(str(path), Mode(), on_event=print)


def test_device_that_may_not_be_read_names_the_group(sysfs, monkeypatch):
    monkeypatch.setattr(v4l2.os, "access", lambda path, how: False)
    with pytest.raises(SourceError, match="not allowed; add yourself to the group video"):
        V4l2(DEVICE, Mode(), on_event=print)


def test_device_that_does_not_open_is_perhaps_in_use(sysfs):
    with pytest.raises(SourceError, match=rf"{DEVICE}: cannot be opened; another program may"):
        V4l2(DEVICE, Mode(), on_event=print)


def test_missing_opencv_is_named(sysfs, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackage, match="a V4L2 camera needs OpenCV"):
        V4l2(DEVICE, Mode(), on_event=print)


@pytest.mark.parametrize("words", ["0:fast", "/dev/video0:640x480p30", "1:640x480@999999"])
def test_words_are_checked_before_anything_is_opened(words):
    with pytest.raises(UsageError, match=rf"^'{words}': "):
        is_live(words)


def test_name_by_path_may_hold_colons(sysfs):
    name = "/dev/v4l/by-path/platform-xhci-hcd.0-usb-0:1:1.0-video-index0"
    for words in (name, f"{name}:640x480@30"):
        with pytest.raises(SourceError, match=rf"no camera at {name};"):
            open_source(words)


# the end


class StuckCapture:
    """An OpenCV capture whose read hangs in the driver until it is let go."""

    def __init__(self, *arguments):
        self.reading, self.go, self.released = (threading.Event() for _ in range(3))

    def isOpened(self):  # noqa: N802
        return True

    def set(self, which, value):
        return True

    def get(self, which):
        return 0.0

    def grab(self):
        assert not self.released.is_set()
        self.reading.set()
        self.go.wait()
        assert not self.released.is_set(), "released under a read"
        return True

    def retrieve(self):
        return True, None

    def release(self):
        self.released.set()


def test_close_waits_for_no_read_and_releases_after_it(sysfs, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", StuckCapture)
    monkeypatch.setattr(opencv, "load", lambda needed_for: cv2)
    source = V4l2(DEVICE, Mode(), on_event=lambda words: None)
    capture = source._capture
    ended = threading.Event()

    def read_on():
        if list(source) == []:
            ended.set()

    threading.Thread(target=read_on, daemon=True).start()
    assert capture.reading.wait(60)
    source.close()
    assert not capture.released.is_set()
    capture.go.set()
    assert ended.wait(60)
    assert capture.released.is_set()


def test_close_releases_a_camera_that_nobody_reads(sysfs, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", StuckCapture)
    source = V4l2(DEVICE, Mode(), on_event=lambda words: None)
    source.close()
    assert source._capture.released.is_set()
    assert list(source) == []


class ShortCapture(StuckCapture):
    """A YUYV camera of 4 x 2 whose second frame lacks its end; after the third it is unplugged."""

    def __init__(self, *arguments):
        super().__init__()
        self.sizes = [16, 15, 16]

    def get(self, which):
        known = {cv2.CAP_PROP_FRAME_WIDTH: 4, cv2.CAP_PROP_FRAME_HEIGHT: 2}
        yuyv = cv2.VideoWriter_fourcc(*"YUYV")
        return float((known | {cv2.CAP_PROP_FOURCC: yuyv}).get(which, 0))

    def grab(self):
        return bool(self.sizes)

    def retrieve(self):
        return True, np.zeros((1, self.sizes.pop(0)), np.uint8)


def test_frame_that_lacks_its_end_is_left_out(sysfs, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", ShortCapture)
    source = V4l2(DEVICE, Mode(), on_event=lambda words: None)
    frames = iter(source)
    assert [next(frames).index for _ in range(2)] == [0, 2]
    with pytest.raises(SourceError, match="no frame; it may be unplugged"):
        next(frames)
    source.close()


# what is plugged in


@pytest.mark.skipif(not Path("/dev/video0").exists(), reason="there is no /dev/video0")
def test_camera_of_this_machine_gives_frames():
    """The vivid driver's, say: ``modprobe vivid``."""
    events = []
    source = open_source("0:640x480@30", on_event=events.append)
    frames = list(islice(source, 10))
    source.close()
    assert events[0].startswith("/dev/video0 gives ")
    width, height = map(int, events[0].split()[2].partition("@")[0].split("x"))
    assert {frame.rgb.shape for frame in frames} == {(height, width, 3)}
    assert {str(frame.rgb.dtype) for frame in frames} == {"uint8"}
    times = [frame.captured_ms for frame in frames]
    assert times == sorted(times)
    assert 0 < time.monotonic() * 1e3 - times[-1] < 60_000
    assert max(frame.rgb.std() for frame in frames) > 1
