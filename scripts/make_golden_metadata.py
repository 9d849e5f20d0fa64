"""Write tests/golden/metadata.{bin,json}: TFLite metadata, and what mediapipe's schema reads in it.

Usage: python scripts/make_golden_metadata.py MEDIAPIPE.whl   (pip download --no-deps mediapipe)

mediapipe ships the classes that flatc makes of the published schema. It is too large to install
for one test, so the test holds edgenet to the bytes that those classes have read.
"""

from __future__ import annotations

import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgenet.host.tflite_metadata import attach
from edgenet.spec import Preprocess

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
MODULE = "mediapipe/tasks/metadata/metadata_schema_py_generated.py"
DESCRIBED = {
    "labels": ("tench", "English springer", "café", "d", "e", "f"),
    "preprocess": Preprocess(16, 16, mean=(0.5, 0.4, 0.3), std=(0.25, 0.5, 0.5)),
    "name": "mobilenet",
    "description": "a test",
}


def written() -> bytes:
    """The metadata that edgenet writes into the small golden model."""
    model = attach((GOLDEN / "tiny" / "models" / "int8.tflite").read_bytes(), **DESCRIBED)
    parsed = schema.ModelT.InitFromPackedBuf(model)
    (index,) = [one.buffer for one in parsed.metadata if one.name == b"TFLITE_METADATA"]
    found: bytes = parsed.buffers[index].data.tobytes()
    return found


def plain(value: Any) -> Any:
    """An object of the generated classes as mappings and lists, without what is not set."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, np.ndarray)):
        return [plain(one) for one in value]
    if hasattr(value, "__dict__"):
        fields = {name: plain(one) for name, one in vars(value).items()}
        return {name: one for name, one in fields.items() if one is not None}
    return value.item() if isinstance(value, np.generic) else value


def main() -> None:
    official = types.ModuleType("metadata_schema")
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        exec(wheel.read(MODULE), vars(official))  # noqa: S102
    data = written()
    (GOLDEN / "metadata.bin").write_bytes(data)
    found = plain(official.ModelMetadataT.InitFromPackedBuf(data))
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (GOLDEN / "metadata.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
