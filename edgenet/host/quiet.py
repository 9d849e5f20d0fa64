"""Keeps what others say of themselves off the terminal: the exporters, and Lightning."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

from edgenet.runtime.quiet import quiet


@contextlib.contextmanager
def quiet_exporters() -> Iterator[None]:
    """No output and no warnings for a while: torchao, litert-torch and torch.onnx make many.

    What they print goes to the debug log, which ``edgenet -v`` shows.
    """
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's remarks to itself; it has handlers of its own."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        warnings.filterwarnings("ignore", module="torch.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
