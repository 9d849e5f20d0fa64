from __future__ import annotations

import json
from pathlib import Path

from edgenet.codegen import emit, report
from edgenet.codegen.program import program

TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"


def test_the_report_says_what_the_header_says(tmp_path):
    made = program(TINY.read_bytes(), "tiny")
    emit.write(made, tmp_path / "c")
    header = (tmp_path / "c" / "src" / "tiny.h").read_text()
    found = json.loads((tmp_path / "c" / "REPORT.json").read_text())
    assert f"#define TINY_ARENA_BYTES {found['arena_bytes']}u" in header
    assert f"#define TINY_CONSTANT_BYTES {found['constant_bytes']}u" in header
    assert f"#define TINY_MACS {found['macs']}u" in header
    assert sum(layer["macs"] for layer in found["layers"]) == found["macs"]
    ends = [r["address"] + r["size"] for layer in found["layers"] for r in layer["regions"]]
    assert max(ends) <= found["arena_bytes"] < max(ends) + 16


def test_counts_of_boards_are_in_both_reports():
    made = program(TINY.read_bytes(), "tiny")
    layers = tuple(range(1, len(made.layers) + 1))
    boards = {"mps2-an386": report.Measured("cortex-m4", 123456, layers, 300, 4567)}
    files = report.files(made, boards)
    assert "| mps2-an386 | cortex-m4 | 123,456 | 300 | 4,567 |" in files["REPORT.md"]
    assert json.loads(files["REPORT.json"])["boards"]["mps2-an386"]["layers"] == list(layers)
    for layer in made.layers:
        assert f"| {layer.layer.name} | {layer.calls[0].kernel} |" in files["REPORT.md"]
