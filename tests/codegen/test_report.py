from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edgenet.architecture import network
from edgenet.codegen import emit, report, untrained
from edgenet.codegen.program import program
from edgenet.int8.graph import Weighted

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
    boards = {"mps2-an386": report.Measured("cortex-m4", 123456, layers, 300, 94567)}
    files = report.files(made, boards)
    assert "| mps2-an386 | cortex-m4 | 123,456 | 300 | 94,567 |" in files["REPORT.md"]
    assert json.loads(files["REPORT.json"])["boards"]["mps2-an386"]["layers"] == list(layers)
    for layer in made.layers:
        assert f"| {layer.layer.name} | {layer.calls[0].kernel} |" in files["REPORT.md"]


def test_flash_is_split_into_weights_parameters_and_code():
    layers = network("mobilenet_v1", alpha=0.25, classes=2)
    made = program(untrained.model(layers, 32, 32), "net")
    weights = sum(
        np.prod(layer.weight.shape) for layer in made.graph.layers if isinstance(layer, Weighted)
    )
    boards = {
        name: report.Measured(core, 1, (1,) * len(made.layers), 300, 100_000)
        for name, core in (("m4", "cortex-m4"), ("m55", "cortex-m55"))
    }
    found = report.record(made, boards)
    for flavour, board in (("scalar", "m4"), ("mve", "m55")):
        flash = found["flash"][flavour]
        assert weights <= flash["weights"] <= 1.05 * weights  # filled up to words
        assert flash["weights"] + flash["parameters"] <= found["constant_bytes"]
        measured = found["boards"][board]
        assert [measured[key] for key in ("weights", "parameters")] == list(flash.values())[:2]
        assert measured["weights"] + measured["parameters"] + measured["code"] == 100_000


def test_the_drawing_has_an_area_for_each_value_and_says_the_size():
    made = program(TINY.read_bytes(), "tiny")
    files = report.files(made)
    assert "](arena.svg)" in files["REPORT.md"]
    drawn = ElementTree.fromstring(files["arena.svg"])
    space = {"svg": "http://www.w3.org/2000/svg"}
    areas = drawn.findall("svg:polygon", space)
    own = [one for step in made.plan.steps for one in step.regions if one.value is None]
    assert len(areas) == len(made.plan.addresses) + len(own)
    titles = [area.findtext("svg:title", namespaces=space) for area in areas]
    for region in own:
        assert f"{region.name}: {region.size:,} bytes at {region.address:,}" in titles
    assert f"{made.plan.size:,} bytes of SRAM" in drawn.findtext("svg:title", namespaces=space)
    assert report.files(made) == files
