"""A Raspberry Pi's own camera, through picamera2."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from edgenet.errors import SourceError
from edgenet.runner import Frame
from edgenet.stream.lease import Lease
from edgenet.stream.mode import Mode

DEFAULT_SIZE = (640, 480)
DEFAULT_FPS = 30.0
# picamera2 names colours by the bytes of a word, so this one is red first in an array.
_RGB = "BGR888"
# one being filled, one being copied, one for jitter
_BUFFERS = 3
_SILENCE_S = 5.0
_OLDEST_MS = 60_000.0


class Picam:
    """A camera that libcamera drives; frames are RGB, each younger than the request for it.

    The image processor scales the sensor's picture to the size that is asked for, and the bundle's
    preprocessing does the rest as for every other source: no size is derived from the model's
    input, since the processor's filter is none that the model was trained or evaluated with.

    A frame's time is that of its first row's exposure: ``SensorTimestamp``, nanoseconds on
    CLOCK_BOOTTIME (https://libcamera.org/api-html/namespacelibcamera_1_1controls.html).

    Args:
        number: of the camera, 0 for the first.
        mode: the size and rate to ask for; 640x480 at 30 frames/s where it does not say.
        on_event: told in words what the camera grants.

    Raises:
        SourceError: picamera2 is missing, or there is no such camera, or it cannot be opened.
    """

    live = True

    def __init__(self, number: int, mode: Mode, *, on_event: Callable[[str], None]) -> None:
        picamera2 = _load()
        self.name = f"picam{number}" if number else "picam"
        _refuse_missing(picamera2, number, self.name)
        self._size = mode.size or DEFAULT_SIZE
        self._fps = mode.fps or DEFAULT_FPS
        self._on_event = on_event
        try:
            self._camera = picamera2.Picamera2(number)
        except RuntimeError as error:
            raise SourceError(
                f"{self.name}: cannot be opened ({error}); another program may be using it"
            ) from error
        self._lease = Lease(self._camera.close, wake=self._camera.cancel_all_and_flush)
        try:
            self._start()
        except RuntimeError as error:
            self._lease.close()
            raise SourceError(f"{self.name}: does not start ({error}); ask for less") from error

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come.

        Raises:
            SourceError: the camera gave nothing for a while.
        """
        index = 0
        while True:
            with self._lease.use() as there:
                frame = self._capture(index) if there else None
            if frame is None:
                return
            yield frame
            index += 1

    def close(self) -> None:
        """Stop the camera, at the latest when the request that is under way is called off."""
        self._lease.close()

    def _start(self) -> None:
        camera = self._camera
        duration_us = round(1e6 / self._fps)
        configuration = camera.create_video_configuration(
            main={"size": self._size, "format": _RGB},
            buffer_count=_BUFFERS,
            # a queued frame is one from before it was asked for
            queue=False,
            controls={"FrameDurationLimits": (duration_us, duration_us)},
            sensor=_whole_field_of_view(camera.sensor_modes, self._fps),
        )
        camera.configure(configuration)
        camera.start()

    def _capture(self, index: int) -> Frame | None:
        try:
            request = self._camera.capture_request(wait=_SILENCE_S)
        except CancelledError:
            return None
        except (FutureTimeout, RuntimeError) as error:
            self._camera.cancel_all_and_flush()
            raise SourceError(
                f"{self.name}: no frame for {_SILENCE_S:g} s; check the ribbon cable at both ends"
            ) from error
        try:
            metadata = request.get_metadata()
            rgb = request.make_array("main")
        finally:
            request.release()
        if index == 0:
            self._on_event(self._granted(metadata))
        return Frame(index, _captured_ms(metadata), rgb, name=self.name)

    def _granted(self, metadata: dict[str, Any]) -> str:
        size = tuple(self._camera.camera_configuration()["main"]["size"])
        duration_us = metadata.get("FrameDuration")
        fps = 1e6 / duration_us if duration_us else None
        other = size != self._size or (fps is not None and abs(fps / self._fps - 1) > 0.02)
        asked = f", not the {Mode(self._size, self._fps)} that was asked for" if other else ""
        return f"{self.name} gives {Mode(size, fps)}{asked}"


def _load() -> Any:
    try:
        import picamera2
    except (ImportError, ValueError) as error:
        # ValueError: numpy of the virtual environment is newer than the one Debian built against
        raise SourceError(
            f"picam needs picamera2, which this Python does not find or cannot load ({error});"
            " run: sudo apt install python3-picamera2, and make the virtual environment with"
            " python3 -m venv --system-site-packages"
        ) from error
    return picamera2


def _refuse_missing(picamera2: Any, number: int, name: str) -> None:
    cameras = picamera2.Picamera2.global_camera_info()
    if number < len(cameras):
        return
    if cameras:
        models = ", ".join(
            f"picam{at or ''} ({camera.get('Model', '?')})" for at, camera in enumerate(cameras)
        )
        raise SourceError(f"no camera {name}; there is {models}")
    raise SourceError(
        f"{name}: libcamera sees no camera; check the ribbon cable at both ends, then"
        " rpicam-hello --list-cameras"
    )


def _whole_field_of_view(modes: list[dict[str, Any]], fps: float) -> dict[str, Any]:
    """The sensor's smallest mode that sees all it can and is fast enough, for ``sensor=``.

    Left to itself libcamera may take a mode that reads only the sensor's middle.
    """

    def seen(mode: dict[str, Any]) -> int:
        return int(mode["crop_limits"][2] * mode["crop_limits"][3])

    # of a camera that is no raw sensor, such as one on USB, only the formats are known
    fast = [mode for mode in modes if mode.get("fps", 0.0) >= 0.99 * fps]
    if not fast:
        return {}
    widest = max(map(seen, fast))
    chosen = min((mode for mode in fast if seen(mode) == widest), key=lambda mode: mode["size"])
    return {"output_size": chosen["size"], "bit_depth": chosen["bit_depth"]}


def _captured_ms(metadata: dict[str, Any]) -> float:
    now_ms = time.monotonic() * 1e3
    stamp_ns = metadata.get("SensorTimestamp")
    if stamp_ns is None:
        return now_ms
    age_ms = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - stamp_ns) / 1e6
    return now_ms - age_ms if 0 <= age_ms < _OLDEST_MS else now_ms
