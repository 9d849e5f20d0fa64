"""What a search trained."""

from __future__ import annotations

import msgspec


class Result(msgspec.Struct, frozen=True):
    """One finished trial.

    Attributes:
        trial: its number.
        name: of the network.
        lr: learning rate.
        top1: on the data's evaluation split, which it was chosen by too.
        images: in that split.
        seconds: that training took, over all its parts; one that was killed counts until it kept
            something for the last time.
        folder: of the run, in the search's folder.
    """

    trial: int
    name: str
    lr: float
    top1: float
    images: int
    seconds: float
    folder: str
