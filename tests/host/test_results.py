"""Docs say what the result files say, and the shipped checkpoint is the one that was measured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgenet import target as targets
from edgenet import verify
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.spec import Preprocess

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    sys.path.insert(0, str(ROOT / "scripts"))  # for the modules beside it
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where msgspec looks up the types that its records name
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date(make_docs: ModuleType) -> None:
    pages = make_docs.pages()
    assert len(pages) >= 2
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"run scripts/make_docs.py ({path.name})"


def test_the_shipped_checkpoint_is_the_one_that_was_measured(make_docs: ModuleType) -> None:
    folder = checkpoints.default()
    record, _ = checkpoints.load(folder)
    measured = make_docs.read(make_docs.RESULTS / f"{folder.name}.json")
    assert measured.training[-1].weights_sha256 == record.weights_sha256


def test_the_shipped_checkpoint_is_what_it_is_said_to_be() -> None:
    record, network = checkpoints.load_network(checkpoints.default())
    assert (record.spec.arch, record.spec.alpha) == ("mobilenet_v1", 0.5)
    assert record.spec.preprocess == Preprocess(128, 128)
    assert record.metrics["val_top1"] >= 0.85
    assert network.classifier.out_features == len(record.spec.labels) == 10
    assert record.calibration is not None
    assert record.calibration.record.images == 200


def test_export_for_the_rpi_needs_nothing_but_its_name(tmp_path: Path) -> None:
    bundle = exporter.export(checkpoints.default(), targets.load("rpi"), tmp_path / "bundle")
    assert {check.status for check in verify.verify(bundle)} == {"equal"}
    assert bundle.manifest.calibration is not None
