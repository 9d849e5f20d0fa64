"""Where another machine is: ``user@host``, ``user@host:port`` or ``ssh://user@host:port``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgenet.errors import UsageError

# less than ssh accepts: nothing that it would read as an option or a shell as more than a name
_ADDRESS = re.compile(
    r"""
    (?: (?P<user> [\w.][\w.+-]*\$? ) @ )?
    (?:
        (?P<ipv6> [0-9a-f]*:[0-9a-f]*:[0-9a-f:.]* (?: %[\w.-]+ )? )
      | (?: (?P<host> [\w.][\w.-]* ) | \[ (?P<bracketed> [0-9a-f:.]+ (?: %[\w.-]+ )? ) \] )
        (?: : (?P<port> \d+ ) )?
    )
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where ssh goes; what is None is left to the user's ssh config."""

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def arguments(self) -> list[str]:
        """What ssh is given to go there."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return [*port, "--", self.destination]

    @property
    def destination(self) -> str:
        return self.host if self.user is None else f"{self.user}@{self.host}"

    @property
    def typed(self) -> str:
        """What a person types after ``ssh`` or ``ssh-copy-id``."""
        return self.destination if self.port is None else f"-p {self.port} {self.destination}"


def parse(text: str) -> Address:
    """Read an address.

    >>> parse("ssh://pi@raspberrypi.local:2222")
    Address(host='raspberrypi.local', user='pi', port=2222)

    Raises:
        UsageError: it is none.
    """
    match = _ADDRESS.fullmatch(text.removeprefix("ssh://"))
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise UsageError(
            f"{text!r} is no address for ssh; write it as pi@raspberrypi.local,"
            " pi@raspberrypi.local:2222 or a name from your ssh config"
        )
    return Address(match["host"] or match["ipv6"] or match["bracketed"], match["user"], port)
