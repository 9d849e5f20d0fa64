"""Keeps the exporters' own chatter off the terminal."""

from __future__ import annotations

import contextlib
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
