"""A picture made as large as a model's input: the same bytes on every CPU and with every OpenCV.

``fit`` uses integers only, so golden frames can be compared exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgenet import opencv

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from edgenet.spec import Preprocess

    Pixels = NDArray[np.uint8]


class Memory:
    """Arrays that are used again for the next picture, one for each purpose; for one thread.

    A camera's frames are alike, and to take a megabyte from the system and give it back for each
    costs as much as what is computed in it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[Any]] = {}

    def take(
        self, purpose: str, shape: tuple[int, ...], dtype: DTypeLike = np.uint8
    ) -> NDArray[Any]:
        """The array for a purpose, with what is left in it from before."""
        kept = self._kept.get(purpose)
        if kept is None or kept.shape != shape or kept.dtype != dtype:
            kept = self._kept[purpose] = np.empty(shape, dtype)
        return kept


def fit(rgb: Pixels, preprocess: Preprocess, *, memory: Memory | None = None) -> Pixels:
    """Crop, shrink and resize a uint8 RGB picture (H, W, 3) to the model's (height, width, 3).

    ``center-crop`` first cuts the largest middle rectangle of the output's aspect ratio;
    ``letterbox`` pads with black afterwards, in the middle.  Each axis is then shrunk by the
    largest whole factor that leaves it no smaller than the output, by the average over the box
    rounded half up (the remainder, less than one output pixel, is cropped from both ends); what
    is left is resized by bit-exact bilinear interpolation (``cv2.INTER_LINEAR_EXACT``).

    OpenCV's INTER_AREA is not used for the boxes: its rounding differs between CPUs
    (half to even on x86, half up in Arm's Carotene).

    Args:
        rgb: the picture; it is left as it is.
        preprocess: the size to reach, and how.
        memory: holds the arrays on the way, and the result until the next picture; new ones are
            made where it is None.

    Raises:
        ValueError: rgb is not uint8 (H, W, 3).
        MissingPackage: OpenCV is needed and not installed.
    """
    check(rgb)
    height, width = preprocess.height, preprocess.width
    memory = Memory() if memory is None else memory
    if preprocess.resize == "center-crop":
        rgb = _crop_to_aspect(rgb, height, width)
    elif preprocess.resize == "letterbox":
        return _letterbox(rgb, height, width, memory)
    return _resize(rgb, height, width, memory)


def check(rgb: Pixels) -> None:
    """Refuse what is no picture.

    Raises:
        ValueError: rgb is not uint8 (H, W, 3).
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")


def _resize(rgb: Pixels, height: int, width: int, memory: Memory) -> Pixels:
    rows, columns = max(1, rgb.shape[0] // height), max(1, rgb.shape[1] // width)
    if rows * columns > 1:
        rgb = _box_average(rgb, rows, columns, memory)
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    cv2, size = opencv.load("resizing a picture"), (height, width)
    # the same arithmetic for each channel, with vector instructions for four but not for three
    four = memory.take("four", (*rgb.shape[:2], 4))
    cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA, dst=four)
    resized = memory.take("resized", (*size, 4))
    cv2.resize(four, size[::-1], dst=resized, interpolation=cv2.INTER_LINEAR_EXACT)
    return cast(
        "Pixels", cv2.cvtColor(resized, cv2.COLOR_RGBA2RGB, dst=memory.take("fitted", (*size, 3)))
    )


def _box_average(rgb: Pixels, rows: int, columns: int, memory: Memory) -> Pixels:
    cv2 = opencv.load("resizing a picture")
    height, width = rgb.shape[0] // rows, rgb.shape[1] // columns
    rgb = _middle(rgb, height * rows, width * columns)
    average = memory.take("average", (height, width, 3))
    if rows == columns == 2:
        # there the bilinear weights are all 1/4, and OpenCV rounds their sum half up
        cv2.resize(rgb, (width, height), dst=average, interpolation=cv2.INTER_LINEAR_EXACT)
        return average
    area = rows * columns
    # A uint16 holds 256 pixels of 255 and the half that rounds.
    dtype = np.uint16 if area <= 256 else np.int32
    total = memory.take("rows", (height, width * columns, 3), dtype)
    total[:] = rgb[::rows]
    for row in range(1, rows):
        total += rgb[row::rows]
    if columns > 1:
        # sums around every pixel, of which the one in the middle of each box is picked
        sums = memory.take("sums", total.shape, dtype)
        cv2.boxFilter(total, -1, (columns, 1), dst=sums, normalize=False)
        total = memory.take("boxes", average.shape, dtype)
        cv2.resize(sums, (width, height), dst=total, interpolation=cv2.INTER_NEAREST_EXACT)
    total += area // 2
    total //= area
    average[:] = total
    return average


def _middle(rgb: Pixels, height: int, width: int) -> Pixels:
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return rgb[top : top + height, left : left + width]


def _crop_to_aspect(rgb: Pixels, height: int, width: int) -> Pixels:
    rows, columns = rgb.shape[:2]
    if columns * height > rows * width:
        return _middle(rgb, rows, max(1, divide(rows * width, height)))
    return _middle(rgb, max(1, divide(columns * height, width)), columns)


def _letterbox(rgb: Pixels, height: int, width: int, memory: Memory) -> Pixels:
    rows, columns = rgb.shape[:2]
    if columns * height > rows * width:
        inner = (max(1, divide(rows * width, columns)), width)
    else:
        inner = (height, max(1, divide(columns * height, rows)))
    canvas = memory.take("canvas", (height, width, 3))
    canvas[:] = 0
    _middle(canvas, *inner)[:] = _resize(rgb, *inner, memory)
    return canvas


def divide(numerator: int, denominator: int) -> int:
    """Divide and round half up, in integers."""
    return (2 * numerator + denominator) // (2 * denominator)
