"""The JSON Schema of what ``--json`` prints, which docs/profile.schema.json publishes.

``python -m edgenet.profile.schema FILE`` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edgenet.profile.compare import Comparison
from edgenet.profile.profiles import Profiles
from edgenet.profile.record import Profile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document() -> bytes:
    """A schema that a profile, profiles of several machines, and a comparison are valid under."""
    _, parts = msgspec.json.schema_components([Profile, Profiles, Comparison])
    schema = {
        "$schema": _DIALECT,
        "title": "Records of edgenet profile and edgenet compare",
        "description": "A reader ignores keys that it does not know and refuses a newer schema.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in ("Profile", "Profiles", "Comparison")],
        "$defs": {name: part for name, part in sorted(parts.items())},
    }
    text = msgspec.json.encode(schema).replace(b"#/components/schemas/", b"#/$defs/")
    return msgspec.json.format(text, indent=2) + b"\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(document())
