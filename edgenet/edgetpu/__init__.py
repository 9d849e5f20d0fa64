"""What of a .tflite the Edge TPU runs: documented rules, the compiler's log, compiled models."""

from __future__ import annotations

from edgenet.edgetpu.check import check
from edgenet.edgetpu.compiled import inspect
from edgenet.edgetpu.record import CompiledPart, Memory, OperatorCheck, Verdict

__all__ = ["CompiledPart", "Memory", "OperatorCheck", "Verdict", "check", "inspect"]
