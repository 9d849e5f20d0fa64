"""A moving test card in place of a camera, with the frame's number written into the picture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edgenet.errors import UsageError
from edgenet.runner import Frame
from edgenet.stream.mode import Mode

DEFAULT = Mode(size=(640, 480), fps=30.0)
CELLS = 32
_NUMBER_BITS = 24
_CHECK = 0xA5
_WEIGHTS = 1 << np.arange(CELLS - 1, -1, -1)
_RED, _GREEN, _BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


class Fake:
    """A camera that needs no camera: frame ``n`` is due ``n / fps`` seconds after the first.

    Like a camera it does not wait: numbers whose time passed while nobody asked are left out.

    Args:
        mode: size and rate; 640x480 at 30 frames/s where it does not say.
        clock: seconds, as ``time.monotonic``.

    Raises:
        UsageError: the picture is too narrow for the number.
    """

    live = True

    def __init__(self, mode: Mode = DEFAULT, *, clock: Callable[[], float] = monotonic) -> None:
        self.size = mode.size or (640, 480)
        self.fps = mode.fps or 30.0
        if self.size[0] < 2 * CELLS:
            raise UsageError(
                f"fake:{mode}: {self.size[0]} pixels are too narrow for the frame number;"
                f" ask for at least {2 * CELLS}"
            )
        self._clock = clock
        self._closed = threading.Event()
        self._background = _background(*self.size)

    def __iter__(self) -> Iterator[Frame]:
        start = self._clock()
        number = 0
        while not self._closed.is_set():
            due = start + number / self.fps
            if (early := due - self._clock()) > 0 and self._closed.wait(early):
                return
            yield Frame(number, due * 1e3, self.picture(number), name="fake")
            number = max(number + 1, int((self._clock() - start) * self.fps))

    def picture(self, number: int) -> NDArray[np.uint8]:
        """The card of a frame: uint8 RGB (height, width, 3)."""
        width, height = self.size
        rgb = self._background.copy()
        _write_number(rgb, number)
        side = height // 4
        left = number * max(1, width // 80) % max(1, width - side)
        rgb[height // 2 : height // 2 + side, left : left + side] = 255
        return rgb

    def close(self) -> None:
        """End the iteration, also one that waits for its next frame; any thread may call it."""
        self._closed.set()


def read_number(rgb: NDArray[np.uint8]) -> int | None:
    """The frame number in a picture of the test card; None where there is none.

    It is read back after JPEG or a resize, as long as a cell keeps some pixels: the top eighth
    holds 32 cells, black for 0 and white for 1, the 24 lowest bits of the number first, then 8
    that check them.
    """
    height, width = rgb.shape[:2]
    row = height // 16
    columns = (np.arange(CELLS) * 2 + 1) * width // (2 * CELLS)
    levels = rgb[row, columns].mean(axis=1)
    bits = levels > 127
    if np.any(np.abs(levels - 127.5) < 64):
        return None
    word = int(bits @ _WEIGHTS)
    number = word >> (CELLS - _NUMBER_BITS)
    return number if word == _word(number) else None


def _word(number: int) -> int:
    number &= (1 << _NUMBER_BITS) - 1
    check = _CHECK ^ (number & 255) ^ (number >> 8 & 255) ^ (number >> 16)
    return number << (CELLS - _NUMBER_BITS) | check


def _write_number(rgb: NDArray[np.uint8], number: int) -> None:
    height, width = rgb.shape[:2]
    bits = (_word(number) & _WEIGHTS) > 0
    cell_of_column = np.arange(width) * CELLS // width
    rgb[: height // 8] = np.where(bits, np.uint8(255), np.uint8(0))[cell_of_column, np.newaxis]


def _background(width: int, height: int) -> NDArray[np.uint8]:
    """Red, green and blue from left to right, so that swapped colours are seen; below, grey."""
    rgb = np.empty((height, width, 3), np.uint8)
    colours = np.array([_RED, _GREEN, _BLUE], np.uint8)
    rgb[:] = colours[np.arange(width) * 3 // width]
    rgb[height // 2 :] = np.linspace(40, 200, width).astype(np.uint8)[:, np.newaxis]
    return rgb
