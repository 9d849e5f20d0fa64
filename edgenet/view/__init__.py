"""A web page from the device: the live picture, its label, and how the loop is doing.

``serve`` starts a server in a thread of its own and returns a ``View``, which is a sink: the loop
publishes to it as to any other.  Nothing is encoded while nobody looks.  The page, its addresses
and who may see them are in docs/view.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgenet.environment import Probe
from edgenet.errors import MissingPackage
from edgenet.view.endpoint import Endpoint

if TYPE_CHECKING:
    from edgenet.stream.statistics import Statistics
    from edgenet.view.server import View

HOST = "127.0.0.1"
PORT = 8080
_NEEDED = {"aiohttp": "aiohttp", "prometheus_client": "prometheus-client"}

__all__ = ["HOST", "PORT", "serve"]


def serve(
    statistics: Statistics,
    *,
    labels: Sequence[str],
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    environment: Probe | None = None,
) -> View:
    """Serve the page until ``View.close``.

    Args:
        statistics: of the loop.
        labels: the model's classes.
        host: name or address to listen on; other machines reach the page by one that is not
            loopback, ``0.0.0.0`` for all.
        port: to listen on; 0 picks a free one.
        token: what a reader must show; where there is none, one is made up beyond loopback.
        environment: reads temperature and throttling; this machine's by default.

    Raises:
        MissingPackage: aiohttp or prometheus-client is not installed.
        UsageError: the token is too short, or the host has no address here.
        SinkError: the port is taken or not allowed.
    """
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingPackage(package, "view", needed_for="the live view")
    from edgenet.view.server import View

    endpoint = Endpoint.open(host, port, token)
    return View(statistics, endpoint, labels=labels, environment=environment or Probe())
