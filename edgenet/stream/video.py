"""Frames of a video file, decoded by OpenCV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from edgenet import opencv
from edgenet.errors import DataError, SourceError
from edgenet.runner import Frame
from edgenet.runtime.quiet import quiet
from edgenet.stream.pictures import OnError, refuse

VIDEO_SUFFIXES = frozenset(
    {".avi", ".h264", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts"}
    | {".webm", ".wmv"}
)
_TOLERANCE = 0.02


class Video:
    """A video file, from its first frame to its last; frame times are those of decoding.

    Args:
        path: the file.
        on_error: told, after the last frame, of a video that ends before its header says; by
            default that ends the iteration.

    Raises:
        MissingPackage: OpenCV is not installed.
        SourceError: OpenCV cannot open the file.
    """

    live = False

    def __init__(self, path: Path, *, on_error: OnError = refuse) -> None:
        cv2 = opencv.load("reading a video")
        self.path = path
        self.on_error = on_error
        self._cv2 = cv2
        with quiet():
            self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise SourceError(
                f"{path}: OpenCV cannot open it as a video; it may be damaged or of a codec that"
                " OpenCV lacks, so try it as MP4 with H.264"
            )
        self._announced = self._property(cv2.CAP_PROP_FRAME_COUNT)
        self._fps = self._property(cv2.CAP_PROP_FPS)

    def __iter__(self) -> Iterator[Frame]:
        """Decode one frame after the other.

        Raises:
            SourceError: not one frame can be decoded.
        """
        index, last_ms = 0, 0.0
        while True:
            with quiet():
                decoded, bgr = self._capture.read()
            if not decoded:
                break
            last_ms = self._property(self._cv2.CAP_PROP_POS_MSEC)
            rgb = self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)
            yield Frame(index, monotonic() * 1e3, rgb, name=f"{self.path}#{index}")
            index += 1
        if not index:
            raise SourceError(f"{self.path}: no frame of it can be decoded; it may be damaged")
        self._tell_if_cut(index, last_ms)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _tell_if_cut(self, decoded: int, last_ms: float) -> None:
        """Hold the last frame's time against the header's length.

        Frames alone would not do: where the header has no count, OpenCV makes one up from the
        length and a rate, which is far off for a video of uneven rate.
        """
        if decoded >= self._announced or not self._fps:
            return
        length_ms = self._announced * 1e3 / self._fps
        frame_ms = 1e3 / self._fps
        if length_ms - last_ms > max(3 * frame_ms, _TOLERANCE * length_ms):
            self.on_error(
                DataError(
                    f"{self.path}: the video is cut short or damaged: {decoded} of about"
                    f" {self._announced:.0f} frames can be decoded; copy the file again"
                )
            )

    def _property(self, which: int) -> float:
        """A number of the file's; 0 where OpenCV has none, or nonsense."""
        value = float(self._capture.get(which))
        return value if math.isfinite(value) and value > 0 else 0.0
