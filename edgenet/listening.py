"""Servers of this machine: who may ask one that is for this machine alone, and why one fails."""

from __future__ import annotations

import errno
import ipaddress
import re

from edgenet.errors import SinkError, UsageError


def names_this_machine(host: str) -> bool:
    """Whether a Host header, with or without a port, names this machine itself.

    A server without a password asks for it, or a web page that the user visits elsewhere could
    read it by letting its own name resolve to 127.0.0.1 (DNS rebinding).
    """
    name = re.sub(r":\d*$", "", host).removeprefix("[").removesuffix("]")
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def refusal(error: OSError, what: str, host: str, port: int) -> SinkError | UsageError:
    """What to raise when ``what``, as "the view", cannot listen."""
    if error.errno == errno.EADDRINUSE:
        return SinkError(
            f"port {port} of {host!r} is taken by another program; choose another port for"
            f" {what}, or 0 for a free one"
        )
    if error.errno == errno.EACCES:
        return SinkError(f"port {port} needs the rights of root; choose one from 1024 for {what}")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"{host!r} is not an address of this machine; let {what} listen on 127.0.0.1, or"
            " on 0.0.0.0 for every network"
        )
    return SinkError(f"{what} cannot listen on port {port} of {host!r}: {error.strerror}")
