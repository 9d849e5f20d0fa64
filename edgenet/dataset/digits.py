"""scikit-learn's handwritten digits: 1,797 real pictures of 8x8 that come with the package.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from edgenet import image
from edgenet.dataset.split import SPLIT_SEED, ArraySplit, Dataset, Pixels, Targets, hold_out
from edgenet.errors import MissingPackage
from edgenet.spec import Preprocess

SIDE = 32
TEST_SHARE = 500 / 1797


def open_digits() -> Dataset:
    """White digits on black, enlarged to 32x32; 500 of them are the test split.

    Raises:
        MissingPackage: scikit-learn is not installed.
    """
    whole = ArraySplit("digits", _load)
    train, test = hold_out(whole, TEST_SHARE, SPLIT_SEED, source="digits")
    return Dataset("digits", tuple("0123456789"), {"train": train, "test": test})


@cache
def _load() -> tuple[Pixels, Targets]:
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError:
        raise MissingPackage("scikit-learn", "host", needed_for="the digits data set") from None
    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    size = Preprocess(height=SIDE, width=SIDE)
    small = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    return np.stack([image.fit(rgb, size) for rgb in small]), digits.target.astype(np.int64)
