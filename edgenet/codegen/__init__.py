"""int8 .tflite files to C for microcontrollers, and smaller ones for every device."""

from __future__ import annotations

from edgenet.codegen.eliminate import LayerSaving, Report, eliminate
from edgenet.codegen.graph import read

__all__ = ["LayerSaving", "Report", "eliminate", "read"]
