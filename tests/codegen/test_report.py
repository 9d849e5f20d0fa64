from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmark_networks import resnet8

from edgenet.architecture import network
from edgenet.codegen import emit, report, untrained, written
from edgenet.codegen.program import program
from edgenet.errors import TargetError
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


def test_each_layer_has_the_kernel_of_either_flavour_and_the_value_that_it_gives():
    made = program(TINY.read_bytes(), "tiny")
    text = report.files(made)["REPORT.md"]
    other = 0
    for layer in made.layers:
        (call,) = layer.calls
        kernels = [call.kernel, (call.mve or call).kernel]
        other += kernels[0] != kernels[1]
        words = f"| {layer.layer.name} | {' | '.join(kernels)} | t{layer.layer.output} "
        assert words in text
    assert other > 2
    (given,), (result,) = made.graph.inputs, made.graph.outputs
    assert f"tN is the value with the number N in the .tflite, the input t{given.value} " in text
    assert f"the output t{result.value} {result.name} among them." in text


def test_a_written_folder_says_the_kernel_that_a_core_runs(tmp_path):
    made = program(TINY.read_bytes(), "tiny")
    emit.write(made, tmp_path / "c")
    for layer, found in zip(made.layers, written.read(tmp_path / "c").layers, strict=True):
        (call,) = layer.calls
        assert found.kernel("cortex-m4") == call.kernel
        assert found.kernel("cortex-m55") == (call.mve or call).kernel


def test_a_folder_of_an_older_edgenet_is_refused_in_a_sentence(tmp_path):
    emit.write(program(TINY.read_bytes(), "tiny"), tmp_path / "c")
    file = tmp_path / "c" / "REPORT.json"
    file.write_text(file.read_text().replace('"kernels"', '"kernel"'))
    with pytest.raises(TargetError, match=r"its report has no 'kernels'; generate it again"):
        written.read(tmp_path / "c")


def test_flash_is_split_into_weights_and_parameters_and_the_selftest_is_beside_them(tmp_path):
    layers = network("mobilenet_v1", alpha=0.25, classes=2)
    made = program(untrained.model(layers, 32, 32), "net")
    weights = sum(
        np.prod(layer.weight.shape) for layer in made.graph.layers if isinstance(layer, Weighted)
    )
    found = report.record(made)
    for flavour in ("scalar", "mve"):
        flash = found["flash"][flavour]
        assert weights <= flash["weights"] <= 1.05 * weights  # filled up to words
        assert flash["weights"] + flash["parameters"] <= found["constant_bytes"]
    golden = made.golden()
    arrays = (*golden.inputs, *golden.outputs, golden.crcs)
    assert found["selftest_bytes"] == sum(array.nbytes for array in arrays)


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


def test_labels_of_the_drawing_lie_within_their_areas():
    """Slanted borders too: the corners of a label's box are on the inner side of every edge."""
    slanted = untrained.model(network("mobilenet_v1", alpha=0.5, classes=6), 128, 128)
    found = [label for data in (slanted, TINY.read_bytes(), resnet8()) for label in labels(data)]
    assert sum(inside for _, inside in found) > 5
    assert [words for words, inside in found if not inside] == []


def labels(data: bytes):
    """Each label, and whether some area has the whole of it."""
    drawn = ElementTree.fromstring(report.files(program(data, "net"))["arena.svg"])
    space = {"svg": "http://www.w3.org/2000/svg"}
    areas = [
        [tuple(map(float, point.split(","))) for point in area.get("points").split()]
        for area in drawn.findall("svg:polygon", space)
    ]
    for text in drawn.findall("svg:text", space):
        if text.get("text-anchor") == "middle":
            x, y, half = float(text.get("x")), float(text.get("y")), 3.1 * len(text.text)
            box = [(x + dx, y + dy) for dx in (-half, half) for dy in (-9, 2)]
            yield text.text, any(all(within(point, area) for point in box) for area in areas)


def within(point, area) -> bool:
    (x, y), signs = point, []
    for (x1, y1), (x2, y2) in zip(area, [*area[1:], area[0]], strict=True):
        signs.append((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1))
    return min(signs) >= 0 or max(signs) <= 0
