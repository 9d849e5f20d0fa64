"""Tells systemd how the loop is: ready, alive, what it sees, ending.

The protocol of sd_notify(3) is one datagram to the socket that ``NOTIFY_SOCKET`` names; that is
less code than a dependency, and the ``sdnotify`` package does not read ``WATCHDOG_USEC`` and has
had no release for years.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

from edgenet.runner import Frame
from edgenet.stream.result import Result

_STATUS_EVERY_S = 10.0
_PINGS_IN_A_TIMEOUT = 4


class Notifier:
    """A sink that makes a systemd service of the loop; does nothing outside of one.

    READY=1 follows the first result, WATCHDOG=1 a result, at most four in a timeout.  So a loop
    whose camera or model hangs sends nothing, and systemd restarts it.

    Args:
        environment: where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket = _connect(environment.get("NOTIFY_SOCKET", ""))
        self._ping_every_s = _timeout_s(environment) / _PINGS_IN_A_TIMEOUT
        self._pinged_s = -float("inf")
        self._told_s = -float("inf")
        self._ready = False

    def publish(self, result: Result, frame: Frame) -> None:
        """Tell that a frame was answered."""
        del frame
        if self._socket is None:
            return
        now = time.monotonic()
        words = []
        if not self._ready:
            self._ready = True
            words.append("READY=1")
        if self._ping_every_s and now - self._pinged_s >= self._ping_every_s:
            self._pinged_s = now
            words.append("WATCHDOG=1")
        if now - self._told_s >= _STATUS_EVERY_S:
            self._told_s = now
            words.append(f"STATUS={_status(result)}")
        self._send(words)

    def close(self) -> None:
        """Tell that the service is ending."""
        self._send(["STOPPING=1"])
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, words: list[str]) -> None:
        if self._socket is None or not words:
            return
        # a notification must not disturb the service; without pings systemd acts by itself
        with contextlib.suppress(OSError):
            self._socket.send("\n".join(words).encode())


def _connect(address: str) -> socket.socket | None:
    """A datagram socket to a path, or to an abstract name written with a leading @."""
    if not address:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    connection.setblocking(False)
    try:
        connection.connect("\0" + address[1:] if address.startswith("@") else address)
    except OSError:
        connection.close()
        return None
    return connection


def _timeout_s(environment: Mapping[str, str]) -> float:
    """The watchdog's, in seconds; 0 where there is none or it is another process's."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    usec = environment.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if usec.isdigit() else 0.0


def _status(result: Result) -> str:
    seen = f"{result.label} {result.top[0].probability:.0%}" if result.top else result.label
    took = "" if result.latency_ms is None else f", {result.latency_ms:.0f} ms after capture"
    return f"frame {result.frame}: {seen.replace(chr(10), ' ')}{took}, {result.dropped} dropped"
