"""int8 networks in integers: a .tflite's graph, and what TensorFlow Lite Micro computes of it."""

from __future__ import annotations

from edgenet.int8.build import build
from edgenet.int8.graph import Graph, Layer, Port, Value

__all__ = ["Graph", "Layer", "Port", "Value", "build"]
