"""Messages by which Home Assistant finds the device, as its MQTT integration documents them.

One retained message a sensor on <prefix>/sensor/<object_id>/config; the keys are those of
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery and .../sensor.mqtt/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edgenet import __version__

PREFIX = "homeassistant"
ONLINE, OFFLINE = "online", "offline"
# an enumeration's options become an attribute of each state, which the recorder limits to 16 KiB
_MOST_OPTIONS = 100

_PERCENT = (
    "{{ None if value_json.probability is none else (value_json.probability * 100) | round(1) }}"
)


def discovery(
    topic: str, *, prefix: str, model: str, labels: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each message's topic and content.

    Args:
        topic: the base under which ``state`` and ``availability`` are published.
        prefix: Home Assistant's discovery prefix.
        model: what the model is called.
        labels: every value that the label can have.
    """
    device_id = "edgenet_" + re.sub(r"[^a-zA-Z0-9]+", "_", topic).strip("_").lower()
    shared = {
        "state_topic": f"{topic}/state",
        "availability_topic": f"{topic}/availability",
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "device": {
            "identifiers": [device_id],
            "name": topic,
            "manufacturer": "edgenet",
            "model": model,
            "sw_version": __version__,
        },
        "origin": {"name": "edgenet", "sw_version": __version__},
    }
    for key, sensor in _sensors(labels).items():
        unique_id = f"{device_id}_{key}"
        yield (
            f"{prefix}/sensor/{unique_id}/config",
            {"unique_id": unique_id, **sensor, **shared},
        )


def _sensors(labels: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    diagnostic = {"state_class": "measurement", "entity_category": "diagnostic"}
    enumeration = {"device_class": "enum", "options": list(labels)}
    return {
        "label": {
            "name": "Label",
            "icon": "mdi:eye",
            "value_template": "{{ value_json.label }}",
            **(enumeration if len(labels) <= _MOST_OPTIONS else {}),
        },
        "probability": {
            "name": "Probability",
            "icon": "mdi:percent",
            "value_template": _PERCENT,
            "unit_of_measurement": "%",
            "state_class": "measurement",
        },
        "latency": {
            "name": "Latency",
            "value_template": "{{ value_json.latency_ms }}",
            "device_class": "duration",
            "unit_of_measurement": "ms",
            **diagnostic,
        },
        "fps": {
            "name": "Frame rate",
            "icon": "mdi:speedometer",
            "value_template": "{{ value_json.fps }}",
            "unit_of_measurement": "fps",
            **diagnostic,
        },
    }
