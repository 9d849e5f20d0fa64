"""The JSON Schema of what ``--json`` prints, which docs/profile.schema.json publishes.

``python -m edgenet.profile.schema FILE`` writes it.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from edgenet.profile.compare import Comparison
from edgenet.profile.profiles import Profiles
from edgenet.profile.record import Profile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_KINDS = (Profile, Profiles, Comparison)


def document() -> bytes:
    """A schema that a profile, profiles of several machines, and a comparison are valid under."""
    _, parts = msgspec.json.schema_components(_KINDS, ref_template="#/$defs/{name}")
    schema = {
        "$schema": _DIALECT,
        "title": "Records of edgenet profile and edgenet compare",
        "description": "A reader ignores keys that it does not know and refuses a newer schema.",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in _KINDS],
        "$defs": {name: _described(part) for name, part in sorted(parts.items())},
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def _described(part: dict[str, Any]) -> dict[str, Any]:
    """A record's schema, the lines on its attributes in its docstring moved to its properties."""
    if "properties" not in part:
        return part
    text, _, attributes = inspect.cleandoc(part.get("description", "")).partition("Attributes:\n")
    properties = {name: dict(found) for name, found in part["properties"].items()}
    for name, words in re.findall(r"(?ms)^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", attributes):
        properties[name]["description"] = " ".join(words.split())
    return part | {"description": " ".join(text.split()), "properties": properties}


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(document())
