from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from edgenet.cli.main import main
from edgenet.cost import Configuration
from edgenet.spec import ModelSpec, Preprocess


def info(*args: str) -> Result:
    return CliRunner().invoke(main, ["info", *args])


def found(*args: str) -> Any:
    result = info(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("args", "chosen"),
    [
        (("mobilenet_v1",), ("mobilenet_v1", 1.0, 224, 224, 1000, 1)),
        (("mobilenet_v1_0.5_128",), ("mobilenet_v1", 0.5, 128, 128, 1000, 1)),
        (("mobilenet_v1_0.5", "--imgsz", "96"), ("mobilenet_v1", 0.5, 96, 96, 1000, 1)),
        (("mobilenet_v1_cifar",), ("mobilenet_v1_cifar", 1.0, 32, 32, 10, 1)),
        (
            (
                "mobilenet_v1_cifar",
                "--alpha",
                "0.5",
                "--num-classes",
                "4",
                "--depth-multiplier",
                "2",
            ),
            ("mobilenet_v1_cifar", 0.5, 32, 32, 4, 2),
        ),
    ],
)
def test_a_name_and_options_pick_the_network(
    args: tuple[str, ...], chosen: tuple[Any, ...]
) -> None:
    assert tuple(found(*args)["model"].values()) == chosen


def test_the_record_holds_what_the_formulas_give() -> None:
    record = found("mobilenet_v1")
    cost = Configuration("mobilenet_v1", 1.0, 224, 224, 1000).cost()
    assert record["total"] == {
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "int8_bytes": cost.int8_bytes,
        "peak_activation_bytes": cost.peak.activation_bytes,
        "weights": cost.weights,
        "state": cost.state,
    }
    assert [layer["name"] for layer in record["layers"]] == [c.layer.name for c in cost.layers]
    assert sum(layer["parameters"] for layer in record["layers"]) == cost.parameters
    assert sum(share["multiply_adds"] for share in record["share"].values()) == pytest.approx(1)
    assert record["twin"]["parameters"] == 29_294_088
    assert record["of_twin"]["multiply_adds"] == pytest.approx(568_740_352 / 4_867_293_184)
    assert [block["ratio"] for block in record["blocks"][:2]] == pytest.approx(
        [1 / 64 + 1 / 9, 1 / 128 + 1 / 9]
    )


def test_the_text_shows_each_layer_the_sums_and_the_twin() -> None:
    result = info("mobilenet_v1")
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    assert lines["stem"] == ["112x112x32", "928", "10,838,016"]
    assert lines["blocks.0.pointwise"] == ["112x112x64", "2,176", "25,690,112", "12.7%"]
    assert lines["classifier"] == ["1x1x1000", "1,025,000", "1,024,000"]
    assert lines["total"] == ["4,231,976", "568,740,352"]
    assert lines["depthwise"] == ["1.3%", "3.1%"]
    assert lines["standard"] == ["convolutions", "29,294,088", "4,867,293,184"]
    assert lines["reduced"] == ["to", "14.4%", "11.7%"]
    assert "4,256,864 bytes" in result.stdout
    assert "1,204,224 bytes" in result.stdout


def test_lists_of_alphas_and_sizes_make_one_table() -> None:
    args = ("mobilenet_v1", "--alphas", "0.25,1", "--imgszs", "128,224")
    rows = found(*args)["grid"]
    assert [(row["alpha"], row["height"]) for row in rows] == [
        (0.25, 128), (0.25, 224), (1.0, 128), (1.0, 224),
    ]  # fmt: skip
    assert [round(row["multiply_adds"] / 1e6) for row in rows] == [14, 41, 186, 569]
    text = info(*args).stdout.splitlines()
    assert text[-1].split() == [
        "1",
        "224x224",
        "4,231,976",
        "568,740,352",
        "4,256,864",
        "1,204,224",
    ]
    assert len(text) == 2 + 1 + 4


def test_one_list_alone_keeps_the_other_number() -> None:
    rows = found("mobilenet_v1_0.5", "--imgszs", "160,192")["grid"]
    assert [(row["alpha"], row["width"]) for row in rows] == [(0.5, 160), (0.5, 192)]
    rows = found("mobilenet_v1_0.5_96", "--alphas", "0.75")["grid"]
    assert [(row["alpha"], row["width"]) for row in rows] == [(0.75, 96)]


def test_a_folder_with_a_typing_error_is_told_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    assert f"did you mean '{tmp_path / 'flowers'}'?" in info(str(tmp_path / "flowrs")).stderr


@pytest.mark.parametrize("name", ["checkpoint.json", "manifest.json"])
def test_a_folder_is_counted_from_its_record(tmp_path: Path, name: str) -> None:
    spec = ModelSpec("mobilenet_v1", 0.5, ("cat", "dog"), Preprocess(96, 128), depth_multiplier=2)
    (tmp_path / name).write_bytes(msgspec.json.encode({"schema": 1, "spec": spec}))
    assert tuple(found(str(tmp_path))["model"].values()) == ("mobilenet_v1", 0.5, 96, 128, 2, 2)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["mobilnet_v1"], "no architecture 'mobilnet_v1'; did you mean 'mobilenet_v1'?"),
        (["mobilenet_v1", "--alpha", "0"], "alpha is 0.0; it must be above 0"),
        (["mobilenet_v1", "--alpha", "nan"], "alpha is nan; it must be above 0"),
        (["mobilenet_v1", "--alphas", "0.5,-1"], "alpha is -1.0; it must be above 0"),
        (["mobilenet_v1", "--alphas", "0.5,,1"], "'0.5,,1' is no list of numbers"),
        (["mobilenet_v1", "--imgszs", "128,1.5"], "'128,1.5' is no list of whole numbers"),
        (["mobilenet_v1", "--imgsz", "0"], "0 pixels; it must be from 1 to 4096"),
        (["mobilenet_v1", "--imgszs", "99999"], "99999 pixels; it must be from 1 to 4096"),
        (["mobilenet_v1", "--num-classes", "0"], "0 classes"),
        (["mobilenet_v1_0.5", "--alpha", "1"], "mobilenet_v1_0.5 has alpha 0.5, not 1.0; drop"),
        (["mobilenet_v1_0.5_128", "--imgsz", "96"], "height 128, not 96"),
        (
            ["runs/nothing"],
            "nothing at 'runs/nothing'; name a checkpoint, a bundle or one of mobile",
        ),
    ],
)
def test_what_makes_no_network_is_refused_in_a_sentence(args: list[str], words: str) -> None:
    result = info(*args)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    result = info(str(tmp_path))
    assert result.exit_code == 2
    assert f"{tmp_path} has no checkpoint.json and no manifest.json" in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a readable record"),
        ('{"spec": {"arch": 3}}', "not a readable record"),
        ("[]", "not a readable record"),
    ],
)
def test_a_broken_record_is_refused_by_its_name(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "checkpoint.json").write_text(content)
    result = info(str(tmp_path))
    assert result.exit_code == 1
    assert f"{tmp_path / 'checkpoint.json'}: {words}" in result.stderr


def test_a_record_of_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec("mobilenet_v9", 1.0, ("a", "b"), Preprocess(32, 32))
    (tmp_path / "checkpoint.json").write_bytes(msgspec.json.encode({"spec": spec}))
    result = info(str(tmp_path))
    assert result.exit_code == 1
    assert "architecture 'mobilenet_v9' is not known" in result.stderr


def test_a_folder_fixes_its_numbers(tmp_path: Path) -> None:
    spec = ModelSpec("mobilenet_v1", 0.5, ("a", "b"), Preprocess(96, 96))
    (tmp_path / "checkpoint.json").write_bytes(msgspec.json.encode({"spec": spec}))
    result = info(str(tmp_path), "--num-classes", "3")
    assert result.exit_code == 2
    assert "classes 2, not 3; drop the option, or name the family alone" in result.stderr
