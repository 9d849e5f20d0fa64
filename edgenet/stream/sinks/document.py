"""A result as JSON: the one form that every sink writes."""

from __future__ import annotations

from typing import Any

import msgspec

from edgenet.stream.result import Result

encode = msgspec.json.Encoder().encode


def document(result: Result) -> dict[str, Any]:
    """A result's fields, probabilities to 6 decimals and milliseconds to 4.

    A file name that is not UTF-8 has its odd bytes replaced.
    """
    latency = result.latency_ms
    return {
        "name": _text(result.name),
        "frame": result.frame,
        "label": result.label,
        "top": [
            {
                "class": guess.index,
                "label": guess.label,
                "probability": round(guess.probability, 6),
            }
            for guess in result.top
        ],
        "stage_ms": {stage: round(ms, 4) for stage, ms in result.stage_ms.items()},
        "latency_ms": None if latency is None else round(latency, 4),
        "dropped": result.dropped,
        "time": round(result.time, 3),
    }


def _text(name: str) -> str:
    if name.isascii():
        return name
    return name.encode(errors="surrogateescape").decode(errors="replace")
