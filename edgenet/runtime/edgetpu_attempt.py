"""The process in which libedgetpu may crash.

``python -m edgenet.runtime.edgetpu_attempt LIBRARY [MODEL]`` says on standard output what it is
about to do, so that a crash has a place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgenet.runtime import edgetpu, litert


def attempt(library: str, model: Path | None) -> None:
    """Load the library, open the model with it, and run it on zeros."""
    module, _ = litert.engine()
    if model is None:
        _say("opening the device")
        module.load_delegate(library)
        return
    _say("opening the device and the model")
    interpreter = edgetpu.interpreter(module, library, model, threads=1)
    _say("running the model")
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()


def _say(doing: str) -> None:
    sys.stdout.write(f"{doing}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        attempt(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(" ".join(str(error).split()))
