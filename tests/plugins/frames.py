"""Cameras' frames, the models that they are for, and what edgenet makes of one for the other."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import layers
import numpy as np
from toolchains import HOST

from edgenet import image, resize
from edgenet.spec import Preprocess, TensorSpec

DRIVER = Path(__file__).parents[1] / "codegen" / "image_driver.c"
KINDS = {"rgb565": 2, "rgb565_swapped": 2, "rgb888": 3, "grey": 1}  # bytes of a pixel
FITS = ("stretch", "center-crop", "letterbox")


def rgb_of(kind: str, pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) of pixels (H, W, bytes), by the definition of each kind."""
    if kind == "grey":
        return np.repeat(pixels, 3, axis=2)
    if kind == "rgb888":
        return pixels
    word = pixels.view(">u2" if kind == "rgb565_swapped" else "<u2")[..., 0].astype(int)
    red, green, blue = word >> 11, (word >> 5) & 63, word & 31
    wide = (red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2)
    return np.stack(wide, axis=2).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    """OpenCV's grey, as three equal channels; cv2's own, so that it is the arbiter."""
    import cv2

    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)


@dataclass(frozen=True)
class Case:
    """A frame (H, W, bytes of a pixel) for a model with an input (height, width, channels)."""

    kind: str
    pixels: np.ndarray
    preprocess: Preprocess
    channels: int = 3
    scale: float = 1 / 255
    zero_point: int = -128
    gap: int = 0  # bytes between rows

    @property
    def tensor(self) -> TensorSpec:
        shape = (1, self.preprocess.height, self.preprocess.width, 3)
        return TensorSpec(
            "input", shape, "int8", (float(np.float32(self.scale)),), (self.zero_point,)
        )

    @property
    def expected(self) -> np.ndarray:
        rgb = rgb_of(self.kind, self.pixels)
        if self.channels == 1:
            rgb = luma(np.ascontiguousarray(rgb))
        fitted = resize.fit(rgb, self.preprocess)
        return image.as_tensor(fitted, self.preprocess, self.tensor)[0, ..., : self.channels]

    @property
    def frame(self) -> bytes:
        """Rows with gaps between them, none after the last."""
        rows = [row.tobytes() for row in self.pixels]
        return (b"\xa5" * self.gap).join(rows)

    @property
    def record(self) -> bytes:
        """The case as image_driver.c reads it."""
        height, width, size = self.pixels.shape
        levels = np.repeat(np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis], 3, axis=2)
        codes = image.as_tensor(levels, self.preprocess, self.tensor)[0, 0].T[: self.channels]
        plain = np.array_equal(codes, np.tile(np.arange(-128, 128), (self.channels, 1)))
        table = bytes([not plain]) + codes.tobytes()
        want = self.preprocess
        numbers = [list(KINDS).index(self.kind), FITS.index(want.resize)]
        numbers += [want.height, want.width, self.channels, len(table)]
        sizes = [width, height, width * size + self.gap, len(self.frame)]
        return struct.pack("<6i", *numbers) + table + struct.pack("<4i", *sizes) + self.frame

    def check(self, found: bytes) -> None:
        """Hold the driver's result against what edgenet makes."""
        expected = self.expected
        assert struct.unpack("<i", found[:4]) == (0,)
        np.testing.assert_array_equal(
            np.frombuffer(found[4:], np.int8).reshape(expected.shape), expected
        )


class Driver:
    """image_driver.c on this machine, built with sanitizers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        sources = [DRIVER, *sorted(layers.SOURCES.glob("en_image*.c"))]
        HOST.build([*layers.STRICT, f"-I{layers.SOURCES}", *sources], folder / "driver")

    def run(self, records: bytes) -> bytes:
        done = subprocess.run(
            [self._folder / "driver", "/dev/stdin", "/dev/stdout"],
            input=records, capture_output=True, check=False,
        )  # fmt: skip
        assert not done.returncode, done.stderr.decode()[:3000]
        return done.stdout
