"""Addresses of network sinks: a URL whose part after # holds options of ours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from edgenet.errors import UsageError, unknown

_PASSWORD_IN_URL = (
    "{kind}: a password in the address could be read by every user of this machine; leave it out"
    " and set {variable}, or {variable}_FILE to a file that holds it"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL.

    Attributes:
        scheme: in lower case.
        host: a name or an IP address.
        port: None for the scheme's.
        user: None where there is none.
        path: from the first slash, as it was given.
        whole: the URL without options and user; safe to show.
        options: what came after #.
    """

    scheme: str
    host: str
    port: int | None
    user: str | None
    path: str
    whole: str
    options: dict[str, str]

    def seconds(self, name: str, default: float) -> float:
        """An option that is a number of seconds.

        Raises:
            UsageError: it is none.
        """
        text = self.options.get(name)
        if text is None:
            return default
        try:
            found = float(text)
        except ValueError:
            found = -1.0
        if not 0 <= found < math.inf:
            raise UsageError(f"{self.whole}: {name}={text} is no number of seconds from 0 up")
        return found


def parse(text: str, *, secret: str, options: tuple[str, ...]) -> Address:
    """Take a URL apart; a password in it is refused and never repeated.

    Args:
        text: the URL.
        secret: the variable that a password belongs into.
        options: names that may come after #.

    Raises:
        UsageError: the URL is malformed, holds a password or an unknown option.
    """
    kind = text.partition(":")[0]
    try:
        split = urlsplit(text)
        host, port = split.hostname, split.port
    except ValueError as error:
        raise UsageError(f"{kind}: the address is malformed ({error})") from error
    if split.password is not None:
        raise UsageError(_PASSWORD_IN_URL.format(kind=kind, variable=secret))
    if not host:
        raise UsageError(f"{kind}: the address names no host; write {kind}://HOST/...")
    place = split.netloc.rpartition("@")[2]
    whole = urlunsplit((split.scheme, place, split.path, split.query, ""))
    given = dict(parse_qsl(split.fragment, keep_blank_values=True))
    for name in given:
        if name not in options:
            raise UsageError(f"{whole}: {unknown('option', name, options)}")
    return Address(split.scheme, host, port, split.username, split.path, whole, given)
