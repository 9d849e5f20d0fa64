"""Which points are compared, and what is known of their accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenet.architecture import ARCHITECTURES
from edgenet.errors import RecordError, UsageError
from edgenet.fit import accuracy
from edgenet.fit.point import Point, grid, listed

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def test_a_generation_is_every_architecture_of_it_for_large_pictures():
    archs = {point.arch for point in grid(["v3"], [1.0], [96], 10)}
    expected = {name for name in ARCHITECTURES if name.startswith("mobilenet_v3")}
    assert archs == expected
    assert len(archs) >= 4


def test_a_full_name_brings_a_network_for_small_pictures():
    (point,) = grid(["mobilenet_v1_cifar"], [0.5], [], 10)
    assert point == Point("mobilenet_v1_cifar", 0.5, 32, 10)


def test_without_words_alphas_are_those_that_were_published():
    alphas = {point.alpha for point in grid(["v2"], [], [224], 1000)}
    assert alphas == {0.35, 0.5, 0.75, 1.0}


@pytest.mark.parametrize("words", [["v4"], ["mobilenet_v9"], ["1"]])
def test_an_unknown_architecture_is_refused(words):
    with pytest.raises(UsageError, match=f"no architecture '{words[0]}'"):
        grid(words, [], [], 10)


def test_published_accuracy_is_of_networks_there_are():
    known = accuracy.published()
    assert len([arch for arch, _, _ in known if arch == "mobilenet_v1"]) == 16
    assert len([arch for arch, _, _ in known if arch == "mobilenet_v2"]) == 22
    for (arch, alpha, side), one in known.items():
        assert Point(arch, alpha, side, 1000).cost().multiply_adds > 0
        assert 0.4 < one.top1 < 0.8
        assert one.source.startswith("https://")
    assert known["mobilenet_v1", 0.25, 128].top1 == pytest.approx(0.415)
    assert known["mobilenet_v3_large", 0.75, 224].top1 == pytest.approx(0.733)


def test_more_width_and_more_pixels_were_never_published_as_worse():
    known = accuracy.published()
    for (arch, alpha, side), one in known.items():
        for (arch_, alpha_, side_), other in known.items():
            if arch == arch_ and alpha <= alpha_ and side <= side_:
                assert one.top1 <= other.top1


def test_this_projects_own_results_are_read_and_named():
    file = RESULTS / "mobilenet_v1_0.5_128_imagenette.json"
    known = accuracy.measured([file])
    one = accuracy.of(Point("mobilenet_v1", 0.5, 128, 10), known)
    drift = json.loads(file.read_bytes())["drift"]
    top1 = next(r["top1"] for r in drift["results"] if r["variant"] == "int8.tflite")
    assert one.top1 == top1["count"] / top1["of"]
    assert (one.kind, one.data) == ("measured", drift["dataset"])
    assert accuracy.of(Point("mobilenet_v1", 0.25, 128, 10), known) is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"drift": {}}', b'{"results": 1}', b"\xff"])
def test_what_is_no_evaluation_is_refused(content, tmp_path):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(RecordError, match="edgenet evaluate --json"):
        accuracy.measured([file])


def test_the_own_table_is_of_networks_there_are_and_says_where_each_figure_stands():
    known = accuracy.known([accuracy.OWN])
    assert ("mobilenet_v1", 0.5, 128) in known
    for (arch, alpha, side), one in known.items():
        assert Point(arch, alpha, side, 10).cost().multiply_adds > 0
        assert one.kind == "own"
        file, _, variant = one.source.partition(", ")
        found = json.loads((RESULTS.parents[1] / file).read_bytes())
        drift = found["drift"] if "drift" in found else found["ways"]["plain"]["drift"]
        top1 = next(r["top1"] for r in drift["results"] if r["variant"] == variant)
        assert one.top1 == pytest.approx(top1["count"] / top1["of"], abs=1e-6)
        assert one.data == drift["dataset"]


def test_a_file_replaces_what_the_own_table_says():
    file = RESULTS / "mobilenet_v1_0.5_128_imagenette.json"
    known = accuracy.known([accuracy.OWN, file])
    assert known["mobilenet_v1", 0.5, 128].kind == "measured"
    assert known["mobilenet_v1_cifar", 1.0, 32].kind == "own"


def test_a_file_named_as_the_own_table_is_read_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    accuracy.OWN.write_text("{}")
    with pytest.raises(RecordError, match="measured is no evaluation"):
        accuracy.known([accuracy.OWN])


def test_accuracies_on_several_data_sets_do_not_compare():
    known = accuracy.own()
    points = listed(known, ["mobilenet_v1", "mobilenet_v1_cifar"], [], [], 10)
    with pytest.raises(UsageError, match="on cifar10 and on imagenette128, which do not compare"):
        accuracy.check_comparable(points, known)
    accuracy.check_comparable([one for one in points if one.arch == "mobilenet_v1"], known)


def test_only_networks_of_the_table_are_listed():
    known = {("mobilenet_v1", 0.5, 128): 0, ("mobilenet_v1", 0.25, 64): 0}
    assert [one.side for one in listed(known, ["v1"], [], [], 10)] == [64, 128]
    assert listed(known, [], [0.5], [], 10) == [Point("mobilenet_v1", 0.5, 128, 10)]
    with pytest.raises(UsageError, match=r"the table has mobilenet_v1_0\.25_64, mobilenet_v1_0\.5"):
        listed(known, ["v1"], [0.5], [64], 10)
