"""OpenCV where a stream needs more of it than ``edgenet.image`` offers."""

from __future__ import annotations

from typing import Any

from edgenet.errors import MissingPackage


def load(needed_for: str) -> Any:
    """The module ``cv2``, silent.

    Raises:
        MissingPackage: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingPackage("OpenCV", "image", needed_for=needed_for) from error
    # OpenCV 4.12 and older have the setter at the top; 0 is silent in both.
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    logging.setLogLevel(0)
    return cv2
