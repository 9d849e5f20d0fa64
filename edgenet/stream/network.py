"""Cameras on the network: an address without its secrets, and RTSP through OpenCV."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from time import monotonic

from edgenet import opencv
from edgenet.errors import SourceError, UsageError, unknown
from edgenet.runner import Frame
from edgenet.stream.lease import Lease
from edgenet.url import Url

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
OPEN_S = 10.0
SILENCE_S = 5.0

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_environment = threading.Lock()


def parse(text: str) -> Url:
    """The address of a camera.

    Raises:
        UsageError: the scheme is not one of ``PORTS``, or the rest is malformed.
    """
    scheme, _, _ = text.partition("://")
    if scheme.lower() not in PORTS:
        raise UsageError(unknown("kind of address", f"{scheme}://", [f"{s}://" for s in PORTS]))
    try:
        return Url.parse(text)
    except ValueError:
        # neither the address nor the reason: they may hold a password
        raise UsageError(
            f"the address after {scheme}:// is malformed; write {scheme}://HOST:PORT/PATH, and"
            " % codes for special characters of a password"
        ) from None


class Rtsp:
    """An RTSP camera, through OpenCV's FFmpeg, which asks for RTP over TCP.

    A frame's time is that of its arrival; how long camera and network took is not known.

    Args:
        url: as it was given, with user and password if need be.

    Raises:
        MissingPackage: OpenCV is not installed.
        SourceError: nothing answers there, or it gives no video.
        UsageError: the address is malformed.
    """

    live = True

    def __init__(self, url: str) -> None:
        self.address = parse(url)
        cv2 = opencv.load("an RTSP stream")
        _refuse_unreachable(self.address)
        settings = {
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: int(OPEN_S * 1e3),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC: int(SILENCE_S * 1e3),
            # each further thread of FFmpeg's would hold one more frame back
            cv2.CAP_PROP_N_THREADS: 1,
        }
        flat = [number for pair in settings.items() for number in pair]
        with _over_tcp():
            self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, flat)
        if not self._capture.isOpened():
            raise SourceError(
                f"{self.address.shown} answers but gives no video; check the path, the user and the"
                " password of the address"
            )
        self._cv2 = cv2
        self._lease = Lease(self._capture.release)

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come.

        Raises:
            SourceError: the stream ended, or gave nothing for a while.
        """
        index = 0
        while True:
            with self._lease.use() as there:
                grabbed = there and self._capture.grab()
                arrived_ms = monotonic() * 1e3
                bgr = self._capture.retrieve()[1] if grabbed else None
            if self._lease.closed:
                return
            if bgr is None:
                raise SourceError(
                    f"{self.address.shown}: the stream ended or gave nothing for {SILENCE_S:g} s"
                )
            rgb = self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)
            yield Frame(index, arrived_ms, rgb, name=self.address.shown)
            index += 1

    def close(self) -> None:
        """Hang up, at the latest when a read that is under way returns."""
        self._lease.close()


def without_secrets(source: str) -> str:
    """What a source may be called in messages: an address only by scheme, host and port."""
    return parse(source).shown if "://" in source else source


@contextlib.contextmanager
def _over_tcp() -> Iterator[None]:
    """Have FFmpeg ask for TCP, which OpenCV takes from the environment alone, when it opens.

    UDP is what OpenCV 4 asks for first; lost packets then spoil pictures.  Who set the variable
    wants something else, and keeps it.
    """
    with _environment:
        if _OPTIONS in os.environ:
            yield
            return
        os.environ[_OPTIONS] = "rtsp_transport;tcp"
        try:
            yield
        finally:
            os.environ.pop(_OPTIONS, None)


def _refuse_unreachable(address: Url) -> None:
    """FFmpeg tells only that it failed; a connection of one's own tells why."""
    port = address.port or PORTS[address.scheme]
    try:
        socket.create_connection((address.host, port), timeout=SILENCE_S).close()
    except OSError as error:
        raise SourceError(
            f"{address.shown} cannot be reached ({error.strerror or error}); check that the camera"
            " is on and the address right"
        ) from error
