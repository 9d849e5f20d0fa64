"""Keeps the exporters' own chatter off the terminal, and in hand for when they fail."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what is written to file descriptors 1 and 2 to the debug log instead.

    The libraries underneath print from Python, from C++ and through loggers of their own, so only
    the descriptors catch all of it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    level = logging.root.manager.disable
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for original, descriptor in zip(saved, (1, 2), strict=True):
                os.dup2(original, descriptor)
                os.close(original)
            logging.disable(level)
            sink.seek(0)
            for line in sink.read().decode(errors="replace").splitlines():
                log.debug(line)
