from __future__ import annotations

import json

from click.testing import CliRunner

from edgenet import target
from edgenet.cli.main import main
from edgenet.runtime import edgetpu_device


def run(*arguments):
    return CliRunner().invoke(main, ["targets", *arguments])


def test_every_target_is_listed_with_its_models():
    result = run()
    assert result.exit_code == 0
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["target", "device", "models", "--quantize", "runs", "here"]
    assert [row.split()[0] for row in rows] == target.names()
    assert all("int8.tflite" in row for row in rows)


def test_json_is_what_the_folders_say():
    records = json.loads(run("--json").stdout)
    assert [record["name"] for record in records] == target.names()
    for record in records:
        loaded = target.load(record["name"])
        assert record["variants"] == list(loaded.variants)
        assert record["quantize"] == list(loaded.description.quantize)
        assert record["limits"] == loaded.limits
        assert record["missing"] == loaded.missing()
        assert record["lacks"] == target.lacking(loaded.backends[0])


def test_what_is_missing_comes_with_the_command(monkeypatch):
    monkeypatch.setattr(target, "_importable", lambda module: module == "numpy")
    row = next(line for line in run().stdout.splitlines() if line.startswith("rpi"))
    assert row.endswith("needs cv2, ai_edge_litert or tflite_runtime: pip install 'edgenet[rpi]'")


def test_target_without_its_device_is_said_to_be_so(monkeypatch):
    monkeypatch.delenv("EDGENET_LIBEDGETPU", raising=False)
    monkeypatch.setattr(edgetpu_device, "library", lambda name: None)
    row = next(line for line in run().stdout.splitlines() if line.startswith("coral"))
    assert row.endswith("yes, but without edgetpu")
