"""MJPEG over HTTP: an answer that never ends, of one JPEG after the other."""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from time import monotonic
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    OpenerDirector,
    build_opener,
)

from edgenet import image
from edgenet.errors import DataError, SourceError
from edgenet.runner import Frame
from edgenet.stream.lease import Lease
from edgenet.stream.network import SILENCE_S, parse
from edgenet.stream.stdin import MAX_FRAME_BYTES
from edgenet.url import Url

_CHUNK = 1 << 16
_MAX_HEADER = 1 << 16
_DRAIN_S = 0.05
_BAD_IN_A_ROW = 30
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,12})\s*$", re.IGNORECASE | re.MULTILINE)


class Mjpeg:
    """An HTTP camera's endless answer, ``multipart/x-mixed-replace``.

    Of pictures that came while the last one was decoded only the newest is, so a slow reader does
    not fall behind; the numbers of the others are left out.  A frame's time is that of its arrival.

    Args:
        url: as it was given, with user and password (basic or digest) if need be.

    Raises:
        SourceError: nothing answers there, or it does not answer with MJPEG.
        UsageError: the address is malformed.
    """

    live = True

    def __init__(self, url: str) -> None:
        self.address = parse(url)
        self._response = _open(self.address)
        try:
            self._parts = Parts(_boundary(self._response, self.address.shown))
        except SourceError:
            self._response.close()
            raise
        # a second handle on the connection: shut down from any thread, it ends a read at once
        self._plug = socket.socket(fileno=os.dup(self._response.fileno()))
        self._lease = Lease(self._hang_up, wake=self._pull_plug)

    def __iter__(self) -> Iterator[Frame]:
        """Pictures as they come; those that cannot be decoded are left out.

        Raises:
            SourceError: the answer ended, nothing came for a while, or it is no pictures.
        """
        index, bad = -1, 0
        while True:
            with self._lease.use() as there:
                pictures = self._newest() if there else []
            if self._lease.closed:
                return
            index += len(pictures)
            try:
                rgb = image.decode_rgb(pictures[-1], self.address.shown)
            except DataError as error:
                bad += 1
                if bad == _BAD_IN_A_ROW:
                    raise SourceError(f"{bad} pictures in a row are none; {error}") from error
            else:
                bad = 0
                yield Frame(index, monotonic() * 1e3, rgb, name=self.address.shown)

    def close(self) -> None:
        """Hang up; a read that is under way returns at once."""
        self._lease.close()

    def _pull_plug(self) -> None:
        with contextlib.suppress(OSError):
            self._plug.shutdown(socket.SHUT_RDWR)

    def _hang_up(self) -> None:
        self._response.close()
        self._plug.close()

    def _newest(self) -> list[bytes]:
        """Wait for at least one picture, then take what else has come already."""
        pictures: list[bytes] = []
        until = None
        while not pictures or (self._more_waits() and monotonic() < (until or 0.0)):
            data = self._read()
            if not data:
                if pictures:
                    return pictures
                if self._lease.closed:
                    return []
                raise SourceError(f"{self.address.shown}: the stream ended")
            pictures += self._parts.feed(data, self.address.shown)
            if pictures and until is None:
                until = monotonic() + _DRAIN_S
        return pictures

    def _read(self) -> bytes:
        try:
            return self._response.read1(_CHUNK)
        except TimeoutError as error:
            raise SourceError(f"{self.address.shown}: nothing for {SILENCE_S:g} s") from error
        except (OSError, HTTPException, ValueError) as error:
            if self._lease.closed:
                return b""
            raise SourceError(f"{self.address.shown}: the connection broke ({error})") from error

    def _more_waits(self) -> bool:
        return bool(select.select([self._plug], [], [], 0)[0])


class Parts:
    """Takes a multipart answer apart as it comes (RFC 2046, and what cameras make of it).

    Args:
        boundary: as the header announces it, with or without the dashes that some cameras add.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"--" + boundary.strip("-").encode("latin-1")
        self._data = bytearray()

    def feed(self, data: bytes, name: str) -> list[bytes]:
        """The bodies of the parts that are whole now.

        Args:
            data: what came.
            name: what the stream is called in an error.

        Raises:
            SourceError: a header or a part is longer than any camera's.
        """
        self._data += data
        found = []
        while (body := self._next(name)) is not None:
            if body:
                found.append(body)
        return found

    def _next(self, name: str) -> bytes | None:
        start = len(self._data) - len(self._data.lstrip(b"\r\n"))
        del self._data[:start]
        blank = _BLANK_LINE.search(self._data, 0, _MAX_HEADER)
        if blank is None:
            if len(self._data) >= _MAX_HEADER:
                raise SourceError(f"{name}: what it sends is no MJPEG; check the path")
            return None
        announced = _LENGTH.search(self._data, 0, blank.end())
        if announced is not None:
            end = blank.end() + int(announced[1])
            whole = end <= len(self._data)
        else:
            end = self._data.find(self._delimiter, blank.end())
            whole = end >= 0
        if max(end, len(self._data)) - blank.end() > MAX_FRAME_BYTES:
            raise SourceError(f"{name}: a picture of more than {MAX_FRAME_BYTES} bytes")
        if not whole:
            return None
        body = bytes(self._data[blank.end() : end])
        del self._data[:end]
        return body if announced is not None else body.rstrip(b"-").rstrip(b"\r\n")


def _open(address: Url) -> HTTPResponse:
    try:
        return cast("HTTPResponse", _opener(address).open(address.bare, timeout=SILENCE_S))
    except HTTPError as error:
        error.close()
        problem = _refusal(error.code)
    except (OSError, HTTPException) as error:
        problem = _unreachable(error.reason if isinstance(error, URLError) else error)
    except ValueError:
        # what urllib makes of a way to log in that it does not know
        problem = _refusal(401)
    # raised here, since urllib's own errors hold connections open, and the password
    raise SourceError(f"{address.shown} {problem}")


def _opener(address: Url) -> OpenerDirector:
    if not address.user:
        return build_opener()
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, address.bare, address.user, address.password or "")
    return build_opener(HTTPDigestAuthHandler(passwords), HTTPBasicAuthHandler(passwords))


def _refusal(code: int) -> str:
    if code in (401, 403):
        return "refuses the user or password; write them as http://USER:PASSWORD@HOST/PATH"
    if code == 404:
        return "has nothing at this path; its manual tells the path of the MJPEG stream"
    return f"answers with the error {code}; check the path"


def _unreachable(reason: BaseException | str) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted here ({reason.verify_message}); add it to the"
            " system's certificates, or write http:// on a network of your own"
        )
    words = getattr(reason, "strerror", None) or reason
    return f"cannot be reached ({words}); check that the camera is on and the address right"


def _boundary(response: HTTPResponse, name: str) -> str:
    kind = response.headers.get_content_type()
    boundary = response.headers.get_param("boundary")
    if kind.startswith("multipart/") and isinstance(boundary, str) and boundary.strip("-"):
        return boundary
    if kind.startswith("image/"):
        raise SourceError(
            f"{name} answers with one picture ({kind}); its manual tells the path of the stream"
        )
    raise SourceError(
        f"{name} answers with {kind}, not with MJPEG (multipart/x-mixed-replace); check the path"
    )
