"""What every target's folder must fulfil, found as edgenet finds them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
from pathlib import Path

import numpy as np
import pytest

from edgenet import target
from edgenet.bundle import Bundle
from edgenet.drift.limits import LIMITS
from edgenet.errors import MissingDevice, TargetError
from edgenet.runner import Frame, Prediction, Runner

TINY = Bundle.open(Path(__file__).parent.parent / "golden" / "tiny")
ROOT = Path(__file__).parent.parent.parent / "targets"

every_target = pytest.mark.parametrize("name", target.names())


@pytest.fixture(autouse=True)
def own_state(monkeypatch, tmp_path):
    """What a runner remembers stays in the test."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def open_runner(loaded):
    """The runner as it comes; a target whose device is not here must run on the CPU when asked."""
    try:
        return loaded.runner(TINY)
    except (MissingDevice, TargetError):
        return loaded.runner(TINY, backend="cpu")


def test_no_folder_is_overlooked():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert set(target.names()) == folders


@every_target
def test_folder_is_named_and_explained(name):
    loaded = target.load(name)
    assert loaded.name == loaded.folder.name == name
    readme = loaded.folder.joinpath("README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {name}\n")
    assert f"--target {name}" in readme


@every_target
def test_extra_exists(name):
    extras = importlib.metadata.metadata("edgenet").get_all("Provides-Extra")
    assert target.load(name).description.requires.extra in extras


@every_target
def test_limits_are_known_and_hold_accuracy(name):
    limits = target.load(name).limits
    assert set(limits) <= set(LIMITS)
    assert 0 < limits["top1_drop"] <= LIMITS["top1_drop"].most


@every_target
def test_runner_answers_the_golden_frames(name, tmp_path):
    loaded = target.load(name)
    if loaded.missing():
        pytest.skip(f"{name} lacks {', '.join(loaded.missing())} here")
    variant, golden = loaded.choose(TINY), TINY.golden()
    runner = loaded.runner(TINY, variant=variant)
    footprint = runner.prepare(tmp_path)
    if not loaded.on_boards:  # what is compiled there has another size
        assert footprint.flash == TINY.record(variant).size
    frames = [Frame(i, 0.0, rgb, name=f"frame {i}") for i, rgb in enumerate(golden.frames)]
    predictions = list(runner.run(frames))
    runner.close()
    assert [p.frame for p in predictions] == [0, 1, 2, 3, 4, 5]
    assert [p.name for p in predictions] == [frame.name for frame in frames]
    for prediction, raw in zip(predictions, golden.outputs[variant], strict=True):
        assert isinstance(prediction, Prediction)
        assert prediction.logits.dtype == np.float32
        assert np.argmax(prediction.logits) == np.argmax(raw)
        assert list(prediction.stage_ms) == ["preprocess", "invoke", "postprocess"]
        assert min(prediction.stage_ms.values()) > 0


@every_target
def test_runner_takes_frames_as_they_come(name, tmp_path):
    loaded = target.load(name)
    if loaded.missing():
        pytest.skip(f"{name} lacks {', '.join(loaded.missing())} here")
    asked = []

    def camera():
        for index in range(3):
            asked.append(index)
            yield Frame(index, 0.0, TINY.golden().frames[index])

    runner = open_runner(loaded)
    runner.prepare(tmp_path)
    predictions = runner.run(camera())
    next(predictions)
    assert asked == [0]
    runner.close()


@every_target
def test_runner_has_the_protocols_methods(name):
    loaded = target.load(name)
    if loaded.missing():
        pytest.skip(f"{name} lacks {', '.join(loaded.missing())} here")
    runner = open_runner(loaded)
    for method in ("prepare", "run", "close"):
        expected = inspect.signature(getattr(Runner, method)).parameters
        found = inspect.signature(getattr(type(runner), method)).parameters
        assert list(found) == list(expected)


def test_shared_code_is_not_copied_between_targets():
    seen: dict[str, Path] = {}
    for path in sorted(ROOT.glob("*/**/*")):
        if path.is_file() and path.stat().st_size and "__pycache__" not in path.parts:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert digest not in seen, f"{path} is a copy of {seen[digest]}"
            seen[digest] = path
