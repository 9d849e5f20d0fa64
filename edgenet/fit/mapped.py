"""What the Edge TPU's compiler would make of a network, by its documented rules."""

from __future__ import annotations

from edgenet import edgetpu, tflite
from edgenet.codegen import untrained
from edgenet.edgetpu import Verdict
from edgenet.fit.point import Point


def verdict(point: Point) -> Verdict:
    """Which operators run on the device, of an untrained network: the rules read no weights.

    Raises:
        MissingPackage: flatbuffers is not installed.
    """
    layers = [one.layer for one in point.cost().layers]
    model = untrained.model(layers, point.side, point.side)
    return edgetpu.check(tflite.read(model, point.name))


def refusal(found: Verdict) -> str:
    """Why not all of it runs on the device; empty where it does."""
    if found.whole:
        return ""
    return found.refused or next(one.rule for one in found.operators if one.rule)
