"""From a picture's bytes to a model's input: the one implementation that every stage uses.

Training, calibration, evaluation and the device call the same three functions, so a model never
meets a picture that was prepared in another way.  ``fit`` uses integers only and gives the same
bytes on every CPU and with every supported OpenCV, so golden frames can be compared exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgenet.errors import DataError, MissingPackage

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from edgenet.spec import Preprocess, TensorSpec

    Pixels = NDArray[np.uint8]

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


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


def read_rgb(path: Path | str) -> Pixels:
    """Read a picture file as uint8 RGB (H, W, 3); see ``decode_rgb``.

    Raises:
        DataError: the file cannot be read or decoded.
        MissingPackage: OpenCV is not installed.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return decode_rgb(data, str(path))


def decode_rgb(data: bytes, name: str) -> Pixels:
    """Decode JPEG, PNG, BMP, WebP, TIFF or GIF bytes as uint8 RGB (H, W, 3).

    The EXIF rotation is applied, grey and CMYK become RGB, 16 bits become 8, transparency is
    composited on black, and of several pages or frames the first is taken.

    Args:
        data: the encoded picture.
        name: what the picture is called in an error.

    Raises:
        DataError: the bytes are empty, cut short, damaged, or no picture that OpenCV knows.
        MissingPackage: OpenCV is not installed.
    """
    if not data:
        raise DataError(f"{name}: the file is empty")
    if data.startswith(_PNG) and not _png_is_whole(data):
        raise DataError(f"{name}: the PNG is cut short or damaged; copy the file again")
    cv2 = _cv2()
    colours = _imdecode(data, cv2.IMREAD_COLOR)
    if colours is None:
        raise DataError(f"{name}: {_why_not(data)}")
    if not data.startswith(_JPEG):
        colours = _on_black(colours, _imdecode(data, cv2.IMREAD_UNCHANGED), name)
    return cast("Pixels", cv2.cvtColor(colours, cv2.COLOR_BGR2RGB))


def encode_jpeg(rgb: Pixels, *, quality: int = 90, max_side: int | None = None) -> bytes:
    """Encode a uint8 RGB picture (H, W, 3) as JPEG, for people to look at.

    Args:
        rgb: the picture; it is left as it is.
        quality: 0 to 100.
        max_side: pixels of the longer side; a larger picture is shrunk, keeping its shape.

    Raises:
        ValueError: rgb is not uint8 (H, W, 3).
        MissingPackage: OpenCV is not installed.
    """
    _check(rgb)
    cv2 = _cv2("encoding a picture")
    height, width = rgb.shape[:2]
    if max_side is not None and max(height, width) > max_side:
        size = [max(1, _divide(side * max_side, max(height, width))) for side in (width, height)]
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of {width} x {height} pixels as JPEG")
    return cast("bytes", data.tobytes())


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
    _check(rgb)
    height, width = preprocess.height, preprocess.width
    memory = Memory() if memory is None else memory
    if preprocess.resize == "center-crop":
        rgb = _crop_to_aspect(rgb, height, width)
    elif preprocess.resize == "letterbox":
        return _letterbox(rgb, height, width, memory)
    return _resize(rgb, height, width, memory)


def normalize(pixels: Pixels, preprocess: Preprocess) -> NDArray[np.float32]:
    """Turn uint8 pixels (..., 3) into the float input, (pixels / 255 - mean) / std."""
    scaled = pixels.astype(np.float32) / np.float32(255)
    if any(preprocess.mean):
        scaled -= np.asarray(preprocess.mean, np.float32)
    if preprocess.std != (1.0, 1.0, 1.0):
        scaled /= np.asarray(preprocess.std, np.float32)
    return scaled


def as_tensor(pixels: Pixels, preprocess: Preprocess, tensor: TensorSpec) -> NDArray[Any]:
    """Turn fitted pixels (height, width, 3) into the model's input, which has the shape of one.

    The input is (1, height, width, 3), or (1, 3, height, width) where ``tensor`` says so; the
    values are those of ``fill``.

    Raises:
        ValueError: the input is of another type, or an integer without one scale and zero point.
    """
    if tensor.dtype == "uint8" and _path(preprocess, tensor)[0] == "copy":
        made: NDArray[Any] = pixels[np.newaxis]
    else:
        made = np.empty((1, *pixels.shape), tensor.dtype)
        fill(made, pixels, preprocess, tensor)
    if is_planar(preprocess, tensor):
        return np.ascontiguousarray(np.moveaxis(made, 3, 1))
    return made


def fill(memory: NDArray[Any], pixels: Pixels, preprocess: Preprocess, tensor: TensorSpec) -> None:
    """Write fitted pixels (height, width, 3) into a model's input (1, height, width, 3).

    A float32 input is ``normalize``d.  An integer input never goes through a float picture: with
    mean 0, std 1 and scale 1/255 it is the pixel minus 128 (int8, zero point -128) or the pixel
    itself (uint8, zero point 0); else it is looked up in a table of 256 values a channel,
    q = round((p / 255 - mean) / std / scale) + zero_point.

    Args:
        memory: written to; an engine's own memory will do.
        pixels: what ``fit`` gave.
        preprocess: what they were fitted with.
        tensor: the model's input.

    Raises:
        ValueError: the input is of another type, or an integer without one scale and zero point.
    """
    if tensor.dtype == "float32":
        memory[0] = normalize(pixels, preprocess)
        return
    path, table = _path(preprocess, tensor)
    if path == "shift":
        np.subtract(pixels, np.uint8(128), out=memory[0].view(np.uint8))
    elif path == "copy":
        memory[0] = pixels
    else:
        memory[0] = table[pixels, _CHANNELS]


def is_planar(preprocess: Preprocess, tensor: TensorSpec) -> bool:
    """Whether a model wants its channels apart, (1, 3, height, width), as few but ONNX ones do."""
    height, width = preprocess.height, preprocess.width
    return tensor.shape == (1, 3, height, width) and tensor.shape != (1, height, width, 3)


_LEVELS = np.repeat(np.arange(256)[:, np.newaxis], 3, axis=1)


_CHANNELS = np.arange(3)


@lru_cache(maxsize=8)
def _path(preprocess: Preprocess, tensor: TensorSpec) -> tuple[str, NDArray[Any]]:
    """How pixels become an integer input, and its value of each pixel value and channel."""
    table = _table(preprocess, tensor)
    if np.array_equal(table, _LEVELS - 128):
        return "shift", table
    return ("copy" if np.array_equal(table, _LEVELS) else "look up"), table


def _table(preprocess: Preprocess, tensor: TensorSpec) -> NDArray[Any]:
    """The input value of each pixel value and channel, (256, 3)."""
    if (
        tensor.dtype not in ("int8", "uint8")
        or not len(tensor.scale) == len(tensor.zero_point) == 1
    ):
        raise ValueError(f"input {tensor.name!r} is {tensor.dtype} with scale {tensor.scale}")
    real = (np.arange(256)[:, np.newaxis] / 255 - preprocess.mean) / preprocess.std
    limits = np.iinfo(tensor.dtype)
    values = np.rint(real / tensor.scale[0]) + tensor.zero_point[0]
    table: NDArray[Any] = np.clip(values, limits.min, limits.max).astype(tensor.dtype)
    return table


def _check(rgb: Pixels) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")


def _resize(rgb: Pixels, height: int, width: int, memory: Memory) -> Pixels:
    rows, columns = max(1, rgb.shape[0] // height), max(1, rgb.shape[1] // width)
    if rows * columns > 1:
        rgb = _box_average(rgb, rows, columns, memory)
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    cv2, size = _cv2("resizing a picture"), (height, width)
    # the same arithmetic for each channel, with vector instructions for four but not for three
    four = memory.take("four", (*rgb.shape[:2], 4))
    cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA, dst=four)
    resized = memory.take("resized", (*size, 4))
    cv2.resize(four, size[::-1], dst=resized, interpolation=cv2.INTER_LINEAR_EXACT)
    return cast(
        "Pixels", cv2.cvtColor(resized, cv2.COLOR_RGBA2RGB, dst=memory.take("fitted", (*size, 3)))
    )


def _box_average(rgb: Pixels, rows: int, columns: int, memory: Memory) -> Pixels:
    cv2 = _cv2("resizing a picture")
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
        return _middle(rgb, rows, max(1, _divide(rows * width, height)))
    return _middle(rgb, max(1, _divide(columns * height, width)), columns)


def _letterbox(rgb: Pixels, height: int, width: int, memory: Memory) -> Pixels:
    rows, columns = rgb.shape[:2]
    if columns * height > rows * width:
        inner = (max(1, _divide(rows * width, columns)), width)
    else:
        inner = (height, max(1, _divide(columns * height, rows)))
    canvas = memory.take("canvas", (height, width, 3))
    canvas[:] = 0
    _middle(canvas, *inner)[:] = _resize(rgb, *inner, memory)
    return canvas


def _divide(numerator: int, denominator: int) -> int:
    """Divide and round half up, in integers."""
    return (2 * numerator + denominator) // (2 * denominator)


def _imdecode(data: bytes, flags: int) -> NDArray[Any] | None:
    cv2 = _cv2()
    try:
        return cast("NDArray[Any] | None", cv2.imdecode(np.frombuffer(data, np.uint8), flags))
    except cv2.error:
        return None


def _on_black(colours: NDArray[Any], raw: NDArray[Any] | None, name: str) -> NDArray[Any]:
    """Composite BGR on black where the undecorated picture ``raw`` has an alpha channel."""
    if raw is None or raw.ndim != 3 or raw.shape[2] != 4:
        return colours
    if raw.dtype != np.uint8:
        raw = (raw >> 8).astype(np.uint8)
    if not np.array_equal(raw[..., :3], colours):
        # OpenCV turns the colours but not the alpha channel.
        raise DataError(
            f"{name}: has both transparency and a rotation mark; save it without one of them"
        )
    product = raw[..., :3].astype(np.uint16) * raw[..., 3:]
    return cast("NDArray[Any]", ((product + 127) // 255).astype(np.uint8))


def _png_is_whole(data: bytes) -> bool:
    """Check every chunk's CRC, so that libpng has nothing to print."""
    return any(kind == b"IEND" for kind in _whole_chunks(data))


def _whole_chunks(data: bytes) -> Iterator[bytes]:
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return
        yield data[at + 4 : at + 8]
        at = end + 4


def _why_not(data: bytes) -> str:
    if data.startswith((_JPEG, _PNG)):
        return "the picture is cut short or damaged; copy the file again"
    return "not a picture that OpenCV can decode; use JPEG, PNG, BMP, WebP, TIFF or GIF"


@cache
def _cv2(needed_for: str = "reading a picture") -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingPackage("OpenCV", "image", needed_for=needed_for) from error
    # OpenCV 4.12 and older have the setter at the top; 0 is silent in both.
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    logging.setLogLevel(0)
    return cv2
