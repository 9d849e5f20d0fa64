"""Networks as data: lists of layers, from which the torch model and its cost are both made."""

from edgenet.architecture.blocks import Inverted, Separable
from edgenet.architecture.families import ARCHITECTURES, Architecture
from edgenet.architecture.layer import CONVOLUTIONS, Activation, Kind, Layer
from edgenet.architecture.network import format_name, network, parse_name

__all__ = [
    "ARCHITECTURES",
    "CONVOLUTIONS",
    "Activation",
    "Architecture",
    "Inverted",
    "Kind",
    "Layer",
    "Separable",
    "format_name",
    "network",
    "parse_name",
]
