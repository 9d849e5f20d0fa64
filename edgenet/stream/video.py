"""Frames of a video file, decoded by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from edgenet.errors import MissingPackage, SourceError
from edgenet.runner import Frame
from edgenet.runtime.quiet import quiet

VIDEO_SUFFIXES = frozenset(
    {".avi", ".h264", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts"}
    | {".webm", ".wmv"}
)


class Video:
    """A video file, from its first frame to its last; frame times are those of decoding.

    Args:
        path: the file.

    Raises:
        MissingPackage: OpenCV is not installed.
        SourceError: OpenCV cannot open the file.
    """

    live = False

    def __init__(self, path: Path) -> None:
        try:
            import cv2
        except ImportError as error:
            raise MissingPackage("OpenCV", "image", needed_for="reading a video") from error
        self.path = path
        self._cv2 = cv2
        with quiet():
            self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise SourceError(
                f"{path}: OpenCV cannot open it as a video; it may be damaged or of a codec that"
                " OpenCV lacks, so try it as MP4 with H.264"
            )

    def __iter__(self) -> Iterator[Frame]:
        """Decode one frame after the other.

        Raises:
            SourceError: not one frame can be decoded.
        """
        index = 0
        while True:
            with quiet():
                decoded, bgr = self._capture.read()
            if not decoded:
                break
            rgb = self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)
            yield Frame(index, monotonic() * 1e3, rgb, name=f"{self.path}#{index}")
            index += 1
        if not index:
            raise SourceError(f"{self.path}: no frame of it can be decoded; it may be damaged")

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
