"""The thread that serves the page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from edgenet import image
from edgenet.environment import Probe
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks.metrics import registry
from edgenet.view import files
from edgenet.view.access import Access
from edgenet.view.board import Watch
from edgenet.view.endpoint import Endpoint
from edgenet.view.newest import Newest
from edgenet.view.pictures import Pictures
from edgenet.view.routes import Routes

if TYPE_CHECKING:
    from edgenet.stream.statistics import Statistics

LARGEST_SIDE = 640
QUALITY = 75
SNAPSHOT_QUALITY = 90
# close() waits so long for viewers to take their leave, and again for the thread
FAREWELL_S = 0.3
_LARGEST_BODY = 4096
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.SERVER: "edgenet",
}


class View:
    """The page, served from a thread with an event loop of its own; a sink.

    Args:
        statistics: of the loop.
        endpoint: where to listen; its socket is closed with the view.
        labels: the model's classes.
        environment: reads the board's temperature and throttling.

    Attributes:
        url: what a reader types; it holds the token where that was made up, and only there.
    """

    def __init__(
        self,
        statistics: Statistics,
        endpoint: Endpoint,
        *,
        labels: Sequence[str],
        environment: Probe,
    ) -> None:
        self.url = endpoint.url
        self._loop = asyncio.new_event_loop()
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="edgenet-view")
        self._newest = Newest(self._loop)
        encode = partial(image.encode_jpeg, quality=QUALITY, max_side=LARGEST_SIDE)
        whole = partial(image.encode_jpeg, quality=SNAPSHOT_QUALITY)
        self._routes = Routes(
            newest=self._newest,
            pictures=Pictures(self._newest, encode, self._executor),
            snapshots=Pictures(self._newest, whole, self._executor),
            statistics=statistics,
            watch=Watch(environment, self._executor),
            classes=len(labels),
            metrics=registry(statistics),
        )
        access = Access(endpoint.token, endpoint.port)
        self._runner = web.AppRunner(
            _application(self._routes, access),
            handle_signals=False,
            access_log=None,  # it would hold the token of ?token=
            shutdown_timeout=FAREWELL_S,
        )
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="edgenet-view", daemon=True
        )
        self._thread.start()
        self._await(self._open(endpoint))

    def publish(self, result: Result, frame: Frame) -> None:
        """Keep the newest result with its frame, and nothing else."""
        self._newest.leave(result, frame)

    def close(self) -> None:
        """Take leave of the viewers and end the thread, in less than a second."""
        if self._loop.is_closed():
            return
        self._await(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self, endpoint: Endpoint) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, endpoint.socket).start()

    async def _shut(self) -> None:
        await self._routes.dismiss(FAREWELL_S)
        await self._runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _application(routes: Routes, access: Access) -> web.Application:
    application = web.Application(middlewares=[access.middleware], client_max_size=_LARGEST_BODY)
    application.on_response_prepare.append(_add_headers)
    application.add_routes(files.routes())
    application.add_routes([web.post("/login", access.login)])
    application.add_routes(routes.table())
    return application


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
