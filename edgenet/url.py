"""Addresses of services on the network, apart so that no message shows a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class Url:
    """An address.

    Attributes:
        scheme: in lower case.
        host: a name or an IP address, without brackets.
        port: None for the scheme's.
        user: % codes decoded; None where there is none.
        password: likewise.
        path: from the first slash, as it was given.
        query: as it was given.
        fragment: likewise.
    """

    scheme: str
    host: str
    port: int | None
    user: str | None
    password: str | None
    path: str
    query: str
    fragment: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take an address apart.

        Raises:
            ValueError: it is malformed or names no host; its words may hold a part of a password.
        """
        parts = urlsplit(text)
        if not parts.hostname:
            raise ValueError("no host")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=parts.port,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            path=parts.path,
            query=parts.query,
            fragment=parts.fragment,
        )

    @property
    def place(self) -> str:
        """Host and port, where it has one."""
        return at(self.host, self.port)

    @property
    def shown(self) -> str:
        """Scheme, host and port: what messages may name, since path and query hold secrets too."""
        return f"{self.scheme}://{self.place}"

    @property
    def bare(self) -> str:
        """The address without user, password and fragment."""
        return urlunsplit((self.scheme, self.place, self.path, self.query, ""))


def at(host: str, port: int | None) -> str:
    """A host and its port as an address writes them.

    >>> at("::1", 80)
    '[::1]:80'
    """
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
