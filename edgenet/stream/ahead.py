"""Live frames are fitted by the thread that reads them, while the model runs on another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from time import perf_counter
from typing import Self

from edgenet import image
from edgenet.runner import Array, Frame, Source
from edgenet.spec import Preprocess


@dataclass(frozen=True, slots=True)
class Fitted(Frame):
    """A frame, and the pixels that a model takes of it.

    Attributes:
        pixels: uint8 RGB (height, width, 3), what ``image.fit`` makes of ``rgb``.
        fit_ms: how long that took.
    """

    pixels: Array = field(kw_only=True)
    fit_ms: float = field(kw_only=True)

    @classmethod
    def of(cls, frame: Frame, pixels: Array, fit_ms: float) -> Self:
        """A frame with its pixels."""
        whole = {one.name: getattr(frame, one.name) for one in fields(frame)}
        return cls(**whole, pixels=pixels, fit_ms=fit_ms)


class Ahead:
    """A live source whose frames come fitted.

    The newest frame is then ready when the model is, and no frame waits longer than it would have;
    the price is that frames are fitted which a newer one replaces.

    Args:
        source: a live one.
        preprocess: what to fit its frames to.
    """

    live = True

    def __init__(self, source: Source, preprocess: Preprocess) -> None:
        self.source = source
        self.preprocess = preprocess

    def __iter__(self) -> Iterator[Frame]:
        memory = image.Memory()
        for frame in self.source:
            start = perf_counter()
            pixels = image.fit(frame.rgb, self.preprocess, memory=memory).copy()
            yield Fitted.of(frame, pixels, (perf_counter() - start) * 1e3)

    def close(self) -> None:
        """Close the source."""
        self.source.close()
