"""From a picture's bytes to a model's input: the one implementation that every stage uses.

Training, calibration, evaluation and the device call the same three functions, so a model never
meets a picture that was prepared in another way: ``read_rgb``, ``fit`` (see ``edgenet.resize``) and
``as_tensor`` or ``normalize``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgenet import opencv
from edgenet.errors import DataError
from edgenet.resize import Memory, check, divide, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgenet.spec import Preprocess, TensorSpec

    Pixels = NDArray[np.uint8]

__all__ = [
    "Memory",
    "as_tensor",
    "decode_rgb",
    "encode_jpeg",
    "fill",
    "fit",
    "is_planar",
    "normalize",
    "read_rgb",
]

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


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
    cv2 = opencv.load("reading a picture")
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
    check(rgb)
    cv2 = opencv.load("encoding a picture")
    height, width = rgb.shape[:2]
    if max_side is not None and max(height, width) > max_side:
        size = [max(1, divide(side * max_side, max(height, width))) for side in (width, height)]
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of {width} x {height} pixels as JPEG")
    return cast("bytes", data.tobytes())


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
    itself (uint8, zero point 0), with scale 1/32640 it is 128 times the pixel (int16); it is looked
    up in a table of 256 values a channel, q = round((p / 255 - mean) / std / scale) + zero_point,
    unless it is one of the first two.

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
    if tensor.dtype == "int8" and np.array_equal(table, _LEVELS - 128):
        return "shift", table
    return ("copy" if np.array_equal(table, _LEVELS) else "look up"), table


def _table(preprocess: Preprocess, tensor: TensorSpec) -> NDArray[Any]:
    """The input value of each pixel value and channel, (256, 3)."""
    if (
        tensor.dtype not in ("int8", "uint8", "int16")
        or not len(tensor.scale) == len(tensor.zero_point) == 1
    ):
        raise ValueError(f"input {tensor.name!r} is {tensor.dtype} with scale {tensor.scale}")
    real = (np.arange(256)[:, np.newaxis] / 255 - preprocess.mean) / preprocess.std
    limits = np.iinfo(tensor.dtype)
    values = np.rint(real / tensor.scale[0]) + tensor.zero_point[0]
    table: NDArray[Any] = np.clip(values, limits.min, limits.max).astype(tensor.dtype)
    return table


def _imdecode(data: bytes, flags: int) -> NDArray[Any] | None:
    cv2 = opencv.load("reading a picture")
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
