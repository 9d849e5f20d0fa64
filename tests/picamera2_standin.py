"""picamera2's classes without a camera: its signatures, and what its calls are known to do.

Signatures are held to the real package's by test_stream_picam.py.  Behaviour, from its source:
names of formats are reversed from the order in an array; rows lie a stride apart; a request keeps
its buffer until it is released, and without a free one no frame comes; with queue=False a request
is of a frame that came after it was asked for; a wait that is over leaves its job behind.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import numpy as np

TRANSFORM = object()
ALIGN = 64


class Camera:
    """The hardware behind the stand-in; a test sets it up and looks at it afterwards."""

    def __init__(self) -> None:
        self.models = ["imx708"]
        self.modes: list[dict[str, Any]] = [
            mode((640, 480), 206.65, (1000, 752, 1280, 960)),
            mode((1640, 1232), 41.85, (0, 0, 3280, 2464)),
            mode((3280, 2464), 21.19, (0, 0, 3280, 2464)),
        ]
        self.busy = False
        self.refuses_to_start = False
        self.silent = False
        self.colour = (200, 100, 50)
        self.exposed_ns_ago = 20_000_000
        self.granted_size: tuple[int, int] | None = None
        self.granted_duration_us: int | None = None
        self.stamped = True
        # what happened
        self.configuration: dict[str, Any] = {}
        self.free = 0
        self.opened = 0
        self.started = 0
        self.closed = 0
        self.waiting = threading.Event()
        self.cancelled = threading.Event()


def mode(size: tuple[int, int], fps: float, crop: tuple[int, int, int, int]) -> dict[str, Any]:
    return {
        "format": "SRGGB10_CSI2P", "unpacked": "SRGGB10", "bit_depth": 10, "size": size,
        "fps": fps, "crop_limits": crop, "exposure_limits": (75, 11766829),
    }  # fmt: skip


CAMERA = Camera()


class Picamera2:
    """One camera, opened."""

    def __init__(self, camera_num=0, verbose_console=None, tuning=None, allocator=None):
        if camera_num >= len(self.global_camera_info()):
            raise RuntimeError(f"No camera number {camera_num} found")
        if CAMERA.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        CAMERA.opened += 1

    @staticmethod
    def global_camera_info():
        return [
            {"Model": model, "Location": 2, "Rotation": 180, "Id": f"/base/{model}", "Num": at}
            for at, model in enumerate(CAMERA.models)
        ]

    @property
    def sensor_modes(self):
        return CAMERA.modes

    def create_video_configuration(
        self,
        main={},  # noqa: B006
        lores=None,
        raw={},  # noqa: B006
        transform=TRANSFORM,
        colour_space=None,
        buffer_count=6,
        controls={},  # noqa: B006
        display="main",
        encode="main",
        queue=True,
        sensor={},  # noqa: B006
        use_case="video",
    ):
        filled = {"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True} | main
        return {
            "main": filled, "buffer_count": buffer_count, "controls": dict(controls),
            "queue": queue, "sensor": sensor,
        }  # fmt: skip

    def configure(self, camera_config=None):
        CAMERA.configuration = dict(camera_config)
        main = dict(camera_config["main"])
        main["size"] = CAMERA.granted_size or main["size"]
        main["stride"] = -(-main["size"][0] * 3 // ALIGN) * ALIGN
        CAMERA.configuration["main"] = main
        CAMERA.free = camera_config["buffer_count"]

    def start(self, config=None, show_preview=False):
        if CAMERA.refuses_to_start:
            raise RuntimeError("Failed to start camera: Device or resource busy")
        CAMERA.started += 1

    def camera_configuration(self):
        return CAMERA.configuration

    def capture_request(self, wait=None, signal_function=None, flush=None):
        assert CAMERA.configuration["queue"] is False, "a queued request is stale"
        assert isinstance(wait, float), "a wait without an end never returns"
        if CAMERA.silent or not CAMERA.free:
            CAMERA.waiting.set()
            if CAMERA.cancelled.wait(wait):
                raise CancelledError
            raise TimeoutError
        CAMERA.free -= 1
        return CompletedRequest()

    def cancel_all_and_flush(self):
        CAMERA.cancelled.set()

    def close(self):
        CAMERA.closed += 1


class CompletedRequest:
    """A frame that the camera lends."""

    def __init__(self):
        self.released = False

    def get_metadata(self):
        assert not self.released
        duration = CAMERA.granted_duration_us
        limits = CAMERA.configuration["controls"]["FrameDurationLimits"]
        metadata = {"FrameDuration": duration or limits[0], "ExposureTime": 9000}
        if CAMERA.stamped:
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            metadata["SensorTimestamp"] = now - CAMERA.exposed_ns_ago
        return metadata

    def make_array(self, name):
        assert not self.released
        assert name == "main"
        main = CAMERA.configuration["main"]
        width, height = main["size"]
        buffer = np.zeros((height, main["stride"]), np.uint8)
        # "BGR888" is red first in memory, "RGB888" blue first
        colour = {"BGR888": CAMERA.colour, "RGB888": CAMERA.colour[::-1]}[main["format"]]
        buffer[:, : width * 3] = np.tile(np.array(colour, np.uint8), width)
        return np.ascontiguousarray(buffer[:, : width * 3]).reshape(height, width, 3)

    def release(self):
        assert not self.released, "released twice"
        self.released = True
        CAMERA.free += 1
