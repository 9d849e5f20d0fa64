"""The test card that stands in for a camera."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest

from edgenet.errors import UsageError
from edgenet.stream.fake import Fake, read_number
from edgenet.stream.mode import Mode
from edgenet.stream.source import open_source

SIZES = [(64, 32), (100, 75), (320, 240), (641, 479), (1280, 720)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", [0, 1, 255, 256, 0xABCDEF, 0xFFFFFF])
def test_number_is_read_back_from_the_picture(size, number):
    rgb = Fake(Mode(size)).picture(number)
    assert rgb.shape == (size[1], size[0], 3)
    assert read_number(rgb) == number


def test_number_starts_over_after_24_bits():
    assert read_number(Fake(Mode((64, 32))).picture(1 << 24)) == 0


@pytest.mark.parametrize("quality", [30, 95])
def test_number_survives_jpeg_and_a_resize(quality):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    rgb = Fake(Mode((640, 480))).picture(123456)
    jpeg = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert read_number(decoded) == 123456
    assert read_number(cv2.resize(decoded, (224, 224), interpolation=cv2.INTER_AREA)) == 123456


def test_picture_without_a_number_has_none():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert read_number(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) is None
    assert read_number(np.zeros((64, 64, 3), np.uint8)) is None
    spoilt = Fake(Mode((64, 64))).picture(5)
    spoilt[:8, 10:12] = 255 - spoilt[:8, 10:12]
    assert read_number(spoilt) is None


def test_colours_tell_red_from_blue_and_something_moves():
    card = Fake(Mode((320, 240)))
    first, later = card.picture(0), card.picture(7)
    red, _, blue = first[60, 20].tolist()
    assert red > 150 > blue
    red, _, blue = first[60, 300].tolist()
    assert blue > 150 > red
    assert not np.array_equal(first[120:180], later[120:180])


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.seconds = 50.0

    def __call__(self):
        return self.seconds


def test_frame_is_due_at_its_number_and_late_ones_are_left_out():
    clock = Clock()
    frames = iter(Fake(Mode((64, 64), 10.0), clock=clock))
    first = next(frames)
    assert (first.index, first.captured_ms) == (0, 50_000.0)
    clock.seconds += 0.1
    second = next(frames)
    assert (second.index, second.captured_ms) == (1, 50_100.0)
    # the reader is busy for 0.55 s: frames 2 to 5 are gone, 6 has come
    clock.seconds += 0.56
    third = next(frames)
    assert third.index == 6
    assert third.captured_ms == pytest.approx(50_600.0)
    assert read_number(third.rgb) == 6


def test_close_ends_an_iteration_that_waits():
    source = open_source("fake:64x64@0.001")
    frames = iter(source)
    assert next(frames).name == "fake"
    ended = threading.Event()

    def wait():
        if list(frames) == []:
            ended.set()

    threading.Thread(target=wait, daemon=True).start()
    source.close()
    assert ended.wait(60)
    assert list(source) == []


def test_default_is_vga_at_30():
    source = open_source("fake")
    assert (source.size, source.fps) == ((640, 480), 30.0)
    assert [frame.index for frame in islice(open_source("fake:64x64@1000"), 1)] == [0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fake:40x40", "40 pixels are too narrow for the frame number; ask for at least 64"),
        ("fake:640", "'640' is no size and rate; write WIDTHxHEIGHT@FPS"),
        ("fake:640x480@30@2", "is no size and rate"),
        ("fake:9000x10", "a side of 9000x10 is not from 32 to 8192 pixels"),
        ("fake:64x64@0", "0 frames/s is not above 0 and at most 1000"),
        ("fake:64x64@2000", "2000 frames/s is not above 0 and at most 1000"),
    ],
)
def test_words_that_are_wrong_are_refused(words, message):
    with pytest.raises(UsageError, match=message):
        open_source(words)
