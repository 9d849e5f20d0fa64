"""OpenCV, silent; the only place that imports it."""

from __future__ import annotations

from functools import cache
from typing import Any

from edgenet.errors import MissingPackage


def load(needed_for: str) -> Any:
    """The module ``cv2``.

    Args:
        needed_for: what an error says that it is needed for.

    Raises:
        MissingPackage: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingPackage("OpenCV", "image", needed_for=needed_for) from error
    _silence(cv2)
    return cv2


@cache
def _silence(cv2: Any) -> None:
    # OpenCV 4.12 and older have the setter at the top; 0 is silent in both.
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    logging.setLogLevel(0)
