"""A resource that one thread uses while any other may close it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Lease:
    """Lets a camera be closed without waiting for a read that may be stuck in its driver.

    Whoever comes last lets go: ``close`` where nobody uses the resource, else the end of that use.

    Args:
        release: frees the resource; called once.
        wake: ends a use that waits, where that can be done from another thread; called once, when
            the lease is closed already and the resource is still there or just gone.
    """

    def __init__(
        self, release: Callable[[], None], wake: Callable[[], None] = lambda: None
    ) -> None:
        self._release = release
        self._wake = wake
        self._in_use = threading.Lock()
        self._closed = threading.Event()
        self._released = False

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called; the resource may still be in use."""
        return self._closed.is_set()

    @contextmanager
    def use(self) -> Iterator[bool]:
        """Keep the resource for a while; whether it is there."""
        try:
            with self._in_use:
                yield not self.closed
        finally:
            self._let_go()

    def close(self) -> None:
        """Free the resource now, or when its use ends; never waits, any thread may call it."""
        if not self._closed.is_set():
            self._closed.set()
            self._wake()
        self._let_go()

    def _let_go(self) -> None:
        if self.closed and self._in_use.acquire(blocking=False):
            try:
                if not self._released:
                    self._released = True
                    self._release()
            finally:
                self._in_use.release()
