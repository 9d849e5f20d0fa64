"""Addresses of network sinks: a URL whose part after # holds options of ours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qsl

from edgenet.errors import UsageError, unknown
from edgenet.url import Url

_PASSWORD_IN_URL = (
    "{kind}: a password in the address could be read by every user of this machine; leave it out"
    " and set {variable}, or {variable}_FILE to a file that holds it"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a network sink sends to.

    Attributes:
        url: without a password.
        options: what came after #.
    """

    url: Url
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
            raise UsageError(f"{self.url.shown}: {name}={text} is no number of seconds from 0 up")
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
        url = Url.parse(text)
    except ValueError:
        # neither the address nor the reason: they may hold a password
        raise UsageError(
            f"{kind}: the address is malformed or names no host; write {kind}://HOST:PORT/..."
        ) from None
    if url.password is not None:
        raise UsageError(_PASSWORD_IN_URL.format(kind=kind, variable=secret))
    given = dict(parse_qsl(url.fragment, keep_blank_values=True))
    for name in given:
        if name not in options:
            raise UsageError(f"{url.shown}: {unknown('option', name, options)}")
    return Address(url, given)
