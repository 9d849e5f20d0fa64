"""A V4L2 camera, such as a USB webcam, read through OpenCV."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from numpy.typing import NDArray

from edgenet import opencv
from edgenet.errors import SourceError
from edgenet.runner import Frame
from edgenet.stream.lease import Lease
from edgenet.stream.mode import Mode

SYSFS = Path("/sys/class/video4linux")
# A Pi's camera bus, its image processor and its codecs, none of which V4L2 alone can drive.
_LIBCAMERA = ("unicam", "rp1-cfe", "pispbe", "bcm2835-", "rpi-hevc", "rpivid")
# While OpenCV copies one buffer the driver fills the other; one alone would halve the rate.
_BUFFERS = 2
_OLDEST_MS = 5000.0

Convert = Callable[[NDArray[Any]], NDArray[Any] | None]


class V4l2:
    """A camera below /dev, as it gives its frames: MJPEG where it can, since USB is narrow.

    Frames come from the driver as they are and are turned to RGB in one step.  A frame's time is
    the driver's where that is on the monotonic clock, which for a USB camera is the start of its
    exposure or its arrival; else the moment it was received.

    Args:
        device: such as ``/dev/video0``.
        mode: the size and rate to ask for; the nearest that the camera has is taken.
        on_event: told in words what the camera grants.

    Raises:
        MissingPackage: OpenCV is not installed.
        SourceError: there is no such camera, or it cannot be opened.
    """

    live = True

    def __init__(self, device: str, mode: Mode, *, on_event: Callable[[str], None]) -> None:
        _refuse_what_is_no_camera(Path(device))
        cv2 = opencv.load("a V4L2 camera")
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{device}: cannot be opened; another program may be using it"
                f" (fuser -v {device} names it)"
            )
        self.device = device
        self._cv2, self._capture = cv2, capture
        self._lease = Lease(capture.release)
        self._ask(mode)
        self._size = (self._number("FRAME_WIDTH"), self._number("FRAME_HEIGHT"))
        fourcc = self._number("FOURCC").to_bytes(4, "little").decode("ascii", "replace").strip()
        self._convert = self._converter(fourcc)
        on_event(_granted(device, mode, self._size, capture.get(cv2.CAP_PROP_FPS), fourcc))

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come; those that arrive damaged are left out.

        Raises:
            SourceError: the camera was unplugged, or gives nothing.
        """
        index = 0
        while True:
            with self._lease.use() as there:
                grabbed = there and self._capture.grab()
                arrived_ms = monotonic() * 1e3
                stamp_ms = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) if grabbed else 0.0
                raw = self._capture.retrieve()[1] if grabbed else None
            if self._lease.closed:
                return
            if not grabbed:
                raise SourceError(f"{self.device}: no frame; it may be unplugged or stuck")
            rgb = None if raw is None else self._convert(raw)
            if rgb is not None:
                yield Frame(index, _captured_ms(stamp_ms, arrived_ms), rgb, name=self.device)
            index += 1

    def close(self) -> None:
        """Let go of the camera, at the latest when a read that is under way returns."""
        self._lease.close()

    def _ask(self, mode: Mode) -> None:
        """Ask for what is wanted; the format first, since sizes and rates depend on it."""
        cv2, capture = self._cv2, self._capture
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
        if mode.size:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.size[1])
        if mode.fps:
            capture.set(cv2.CAP_PROP_FPS, mode.fps)

    def _number(self, name: str) -> int:
        return int(self._capture.get(getattr(self._cv2, f"CAP_PROP_{name}")))

    def _converter(self, fourcc: str) -> Convert:
        """What turns a frame of the granted format into RGB (height, width, 3), or None."""
        cv2 = self._cv2
        width, height = self._size
        shape, code = {
            "YUYV": ((height, width, 2), cv2.COLOR_YUV2RGB_YUYV),
            "UYVY": ((height, width, 2), cv2.COLOR_YUV2RGB_UYVY),
            "NV12": ((height * 3 // 2, width), cv2.COLOR_YUV2RGB_NV12),
            "NV21": ((height * 3 // 2, width), cv2.COLOR_YUV2RGB_NV21),
            "YU12": ((height * 3 // 2, width), cv2.COLOR_YUV2RGB_I420),
            "YV12": ((height * 3 // 2, width), cv2.COLOR_YUV2RGB_YV12),
            "GREY": ((height, width), cv2.COLOR_GRAY2RGB),
            "RGB3": ((height, width, 3), None),
        }.get(fourcc, ((height, width, 3), cv2.COLOR_BGR2RGB))

        def decompress(raw: NDArray[Any]) -> NDArray[Any] | None:
            rgb: NDArray[Any] | None = cv2.imdecode(raw.reshape(-1), cv2.IMREAD_COLOR_RGB)
            return rgb

        def convert(raw: NDArray[Any]) -> NDArray[Any] | None:
            if raw.size != math.prod(shape):
                return None
            pixels = raw.reshape(shape)
            return pixels if code is None else cv2.cvtColor(pixels, code)

        compressed = fourcc in ("MJPG", "JPEG")
        known = compressed or code != cv2.COLOR_BGR2RGB or fourcc == "BGR3"
        # of a format that is not known here OpenCV makes BGR
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0 if known else 1)
        return decompress if compressed else convert


def _captured_ms(stamp_ms: float, arrived_ms: float) -> float:
    return stamp_ms if 0 <= arrived_ms - stamp_ms < _OLDEST_MS else arrived_ms


def _granted(device: str, mode: Mode, size: tuple[int, int], fps: float, fourcc: str) -> str:
    granted = Mode(size, fps if math.isfinite(fps) and fps > 0 else None)
    other_size = mode.size is not None and mode.size != size
    other_fps = mode.fps is not None and abs(fps - mode.fps) > 0.01 * mode.fps
    asked = f", not the {mode} that was asked for" if other_size or other_fps else ""
    return f"{device} gives {granted} as {fourcc}{asked}"


def _refuse_what_is_no_camera(device: Path) -> None:
    if not device.exists():
        raise SourceError(f"no camera at {device}; {_what_there_is()}")
    if not stat.S_ISCHR(device.stat().st_mode):
        raise SourceError(f"{device} is no device; {_what_there_is()}")
    name = _name(device.resolve())
    if name.startswith(_LIBCAMERA):
        raise SourceError(
            f"{device}: this is a libcamera camera ({name}), use picam; {_what_there_is()}"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(
            f"{device}: not allowed; add yourself to the group video with"
            " sudo usermod -aG video $USER, then log in again"
        )


def _name(device: Path) -> str:
    try:
        return (SYSFS / device.name / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _what_there_is() -> str:
    """The cameras that V4L2 has here, with their names; a USB camera's further nodes left out."""
    found, libcamera = [], False
    for entry in sorted(SYSFS.glob("video*"), key=lambda path: (len(path.name), path.name)):
        name = _name(entry)
        libcamera |= name.startswith(_LIBCAMERA)
        index = entry / "index"
        first = not index.is_file() or index.read_text(encoding="ascii").strip() == "0"
        if first and not name.startswith(_LIBCAMERA):
            found.append(f"/dev/{entry.name} ({name})")
    if found:
        return f"there is {', '.join(found)}"
    if libcamera:
        return "there is no other camera; one on a Raspberry Pi's ribbon cable is picam"
    return "there is no V4L2 camera here; check the cable with lsusb"
