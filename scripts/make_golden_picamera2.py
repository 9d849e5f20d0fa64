"""Records the signatures of picamera2 that edgenet calls: tests/golden/picamera2.json.

    pip download --no-deps picamera2
    python scripts/make_golden_picamera2.py picamera2-0.3.38-py3-none-any.whl

The package itself needs libcamera, so its source is read, not imported.
"""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent.parent / "tests" / "golden" / "picamera2.json"
CALLED = {
    "picamera2/picamera2.py": {
        "Picamera2": [
            "__init__", "global_camera_info", "sensor_modes", "create_video_configuration",
            "configure", "start", "camera_configuration", "capture_request",
            "cancel_all_and_flush", "close",
        ],
    },
    "picamera2/request.py": {"CompletedRequest": ["get_metadata", "make_array", "release"]},
}  # fmt: skip


def signatures(source: str, called: dict[str, list[str]]) -> dict[str, Any]:
    """Of each named method its kind and parameters, with defaults as they are written."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name in called:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name in called[node.name]:
                    # the last one counts: those before are overloads
                    found[f"{node.name}.{method.name}"] = signature(method)
    missing = {f"{c}.{m}" for c, methods in called.items() for m in methods} - set(found)
    if missing:
        raise SystemExit(f"this picamera2 has no {', '.join(sorted(missing))}")
    return dict(sorted(found.items()))


def signature(method: ast.FunctionDef) -> dict[str, Any]:
    decorators = [ast.unparse(decorator) for decorator in method.decorator_list]
    arguments = method.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
        raise SystemExit(f"{method.name} has parameters of a kind that is not recorded")
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    defaults = [ast.unparse(default) for default in arguments.defaults]
    plain = len(names) - len(defaults)
    return {
        "kind": decorators[0] if decorators else "method",
        "parameters": [[name, None] for name in names[:plain]]
        + [[name, default] for name, default in zip(names[plain:], defaults, strict=True)],
    }


def main() -> None:
    wheel = Path(sys.argv[1])
    with zipfile.ZipFile(wheel) as archive:
        found: dict[str, Any] = {}
        for name, called in CALLED.items():
            found |= signatures(archive.read(name).decode(), called)
    record = {"picamera2": wheel.name.split("-")[1], "signatures": found}
    OUT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {OUT}, {len(found)} signatures")


if __name__ == "__main__":
    main()
