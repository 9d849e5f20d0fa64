"""What the view answers at each address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from email.utils import formatdate
from time import monotonic

import msgspec
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from edgenet.stream.sinks.document import document
from edgenet.stream.statistics import Statistics
from edgenet.view import message
from edgenet.view.board import Watch
from edgenet.view.message import Message
from edgenet.view.newest import Newest
from edgenet.view.pictures import Picture, Pictures

VIEWERS = 16
# a viewer without news is told the state this often
QUIET_S = 1.0
STATE_PERIOD_S = 0.25
# a viewer that takes nothing for so long has gone
PATIENCE_S = 15.0
NEXT = "next"
_BOUNDARY = "edgenet-frame"


class Routes:
    """The handlers that show data.

    Args:
        newest: what the loop left.
        pictures: small ones, for live viewers.
        snapshots: whole ones.
        statistics: of the loop.
        watch: the board's state.
        classes: how many the model knows.
        metrics: the loop's, for Prometheus.
    """

    def __init__(  # noqa: PLR0913  (what a page is made of)
        self,
        *,
        newest: Newest,
        pictures: Pictures,
        snapshots: Pictures,
        statistics: Statistics,
        watch: Watch,
        classes: int,
        metrics: CollectorRegistry,
    ) -> None:
        self._newest = newest
        self._pictures = pictures
        self._snapshots = snapshots
        self._statistics = statistics
        self._watch = watch
        self._classes = classes
        self._metrics = metrics
        self._viewers = 0
        self._sockets: set[web.WebSocketResponse] = set()

    def table(self) -> list[web.RouteDef]:
        """Addresses and their handlers."""
        return [
            web.get("/live", self.live),
            web.get("/stream.mjpg", self.stream),
            web.get("/snapshot.jpg", self.snapshot),
            web.get("/state.json", self.state),
            web.get("/metrics", self.metrics),
            web.get("/healthz", self.health),
        ]

    async def live(self, request: web.Request) -> web.StreamResponse:
        """A web socket: for each ``next`` that the viewer sends, a message and its picture.

        So a viewer gets what it has shown the last one for, and frames wait nowhere.
        """
        async with self._viewer():
            socket = web.WebSocketResponse(
                compress=False, heartbeat=PATIENCE_S, max_msg_size=1024, timeout=0.2
            )
            await socket.prepare(request)
            self._sockets.add(socket)
            try:
                with _patience(request):
                    await self._serve(socket)
            finally:
                self._sockets.discard(socket)
            return socket

    async def dismiss(self, timeout_s: float) -> None:
        """Tell every viewer that the view goes away."""
        leaving = [one.close(code=WSCloseCode.GOING_AWAY) for one in self._sockets]
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*leaving, return_exceptions=True)

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        seen, told_s = 0, -STATE_PERIOD_S
        async for asked in socket:
            if asked.type is not WSMsgType.TEXT or asked.data != NEXT:
                await socket.close(code=1003, message=b"say 'next'")
                return
            picture = await self._pictures.after(seen, QUIET_S)
            told = picture is not None and monotonic() - told_s < STATE_PERIOD_S
            state = None if told else await self._state()
            if state is not None:
                told_s = monotonic()
            async with asyncio.timeout(PATIENCE_S):
                seen = await _tell(socket, picture, state, seen)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """The picture alone, as motion JPEG, for programs that know it."""
        async with self._viewer():
            response = web.StreamResponse(
                headers={hdrs.CONTENT_TYPE: f"multipart/x-mixed-replace; boundary={_BOUNDARY}"}
            )
            await response.prepare(request)
            with _patience(request):
                await self._stream(response)
            return response

    async def _stream(self, response: web.StreamResponse) -> None:
        seen = 0
        await response.write(f"--{_BOUNDARY}\r\n".encode())
        while True:
            picture = await self._pictures.after(seen, QUIET_S)
            if picture is None:
                continue
            seen = picture.shown.number
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n\r\n"
            # the boundary comes with the picture: a browser shows a part when the next begins
            part = head.encode() + picture.jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
            async with asyncio.timeout(PATIENCE_S):
                await response.write(part)

    async def snapshot(self, request: web.Request) -> web.Response:
        """The newest frame as it is, not shrunk, with the time of its answer."""
        picture = await self._snapshots.after(0, 0.0)
        if picture is None:
            return web.Response(status=503, text="no frame yet; try again\n")
        made = formatdate(picture.shown.result.time, usegmt=True)
        return web.Response(
            body=picture.jpeg, content_type="image/jpeg", headers={hdrs.LAST_MODIFIED: made}
        )

    async def state(self, request: web.Request) -> web.Response:
        """One message, without a picture."""
        shown = self._newest.shown
        result = document(shown.result) if shown else None
        return _json(200, Message(result, await self._state()))

    async def health(self, request: web.Request) -> web.Response:
        """200 while frames are being classified, else 503 with the reason; no data."""
        status, reason = message.health(self._statistics.snapshot())
        return _json(200 if reason is None else 503, {"status": status, "reason": reason})

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus' text."""
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=encode(self._metrics), headers={hdrs.CONTENT_TYPE: content_type})

    async def _state(self) -> message.State:
        board = await self._watch.board()
        return message.state(self._statistics.snapshot(), classes=self._classes, board=board)

    @asynccontextmanager
    async def _viewer(self) -> AsyncIterator[None]:
        if self._viewers >= VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{VIEWERS} viewers are connected already\n")
        self._viewers += 1
        try:
            yield
        finally:
            self._viewers -= 1


@contextmanager
def _patience(request: web.Request) -> Iterator[None]:
    """End quietly with a viewer that has gone, at once with one that takes nothing."""
    try:
        yield
    except ConnectionError:
        pass
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


async def _tell(
    socket: web.WebSocketResponse, picture: Picture | None, state: message.State | None, seen: int
) -> int:
    """Send one message; returns the number of the picture that the viewer has now."""
    if picture is None:
        await socket.send_str(msgspec.json.encode(Message(None, state)).decode())
        return seen
    told = Message(document(picture.shown.result), state, picture=True)
    await socket.send_str(msgspec.json.encode(told).decode())
    await socket.send_bytes(picture.jpeg)
    return picture.shown.number


def _json(status: int, value: object) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
