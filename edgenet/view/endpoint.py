"""Where a view listens, what a reader types to get there, and the token that it demands."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Self

from edgenet.errors import UsageError
from edgenet.listening import refusal
from edgenet.url import at

SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[\w.~-]+", re.ASCII)
# an address of the range for documentation: nothing is sent to it
_ELSEWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A socket that listens.

    Attributes:
        socket: whoever serves it closes it.
        url: how a browser gets there; it holds the token where that was made up.
        token: what a reader must show; None where only this machine can connect.
    """

    socket: socket.socket
    url: str
    token: str | None

    @property
    def port(self) -> int:
        """The port, also where 0 was asked for."""
        port: int = self.socket.getsockname()[1]
        return port

    @classmethod
    def open(cls, host: str, port: int, token: str | None) -> Self:
        """Listen.

        Args:
            host: a name or an address of this machine.
            port: 0 picks a free one.
            token: of the user's choice; None makes one up where other machines can connect.

        Raises:
            UsageError: the token is too short, ``host`` has no address here, or there is no such
                port.
            SinkError: the port is taken or not allowed.
        """
        if token is not None:
            check_token(token)
        listening = _listen(host, port)
        url = _url(listening, host)
        if token is None and not _is_loopback(listening):
            token = secrets.token_urlsafe(24)
            url += f"?token={token}"
        return cls(listening, url, token)


def check_token(token: str) -> None:
    """Check a token of the user's choice.

    Raises:
        UsageError: it is too short, or holds what a URL does not.
    """
    if len(token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(token):
        raise UsageError(
            f"a token of the view has at least {SHORTEST_TOKEN} letters, digits, '-', '.', '_' or"
            " '~'; leave it out to have one made"
        )


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} of the view is not from 0 to 65535; 0 picks a free one")
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the view cannot listen on {host!r}, which has no address") from error
    family, *_, address = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise refusal(error, "the view", host, port) from error
    return listening


def _address(listening: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0])


def _is_loopback(listening: socket.socket) -> bool:
    return _address(listening).is_loopback


def _url(listening: socket.socket, host: str) -> str:
    if _address(listening).is_unspecified:
        host = _own_address()
    return f"http://{at(host, listening.getsockname()[1])}/"


def _own_address() -> str:
    """This machine's address in the network that its default route leads to, else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return socket.gethostname()
        found: str = probe.getsockname()[0]
    return found
