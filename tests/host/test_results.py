"""Docs say what the result files say, and the shipped checkpoint is the one that was measured."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from edgenet import target as targets
from edgenet import verify
from edgenet.drift.compare import compare, measure
from edgenet.drift.record import DriftReport
from edgenet.environment import Probe
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


@pytest.fixture
def measured(make_docs: ModuleType) -> Callable[..., Any]:
    """A network of 1,000 pictures, 900 right in float, by what each way loses."""
    records = sys.modules["network_records"]
    targets = np.zeros(1000, np.int64)

    def right(count: int) -> np.ndarray:
        return np.eye(2, dtype=np.float32)[(np.arange(1000) >= count).astype(int)]

    def made(lost: int) -> Any:
        results = [
            measure(right(900), targets, variant="fp32.tflite", engine="", drift=None),
            measure(
                right(900 - lost),
                targets,
                variant="int8.tflite",
                engine="",
                drift=compare(right(900), right(900 - lost), targets, ("a", "b")),
            ),
        ]
        report = DriftReport(
            bundle="", bundle_sha256="", target="pc", dataset="noise", note="", split="val",
            images=1000, available=1000, seed=None, calibrated=0, reference="fp32.tflite",
            results=tuple(results), skipped={}, images_per_s=1.0, versions={},
        )  # fmt: skip
        return records.Made(command="", remedies=("bias",), keep_float=("stem",), drift=report)

    def network(name: str, **lost: int) -> Any:
        return records.Compared(
            network=name,
            training=(),
            weights_sha256="",
            machine=Probe().machine(),
            ways={way: made(count) for way, count in lost.items()},
        )

    return network


def test_a_network_that_loses_more_than_is_demanded_is_named(measured: Callable[..., Any]) -> None:
    table = sys.modules["remedy_table"]
    found = {
        name: measured(name, **lost)
        for name, lost in {
            "mobilenet_v1_0.25_64": {"plain": 30, "remedies": 10, "qat": 2},
            "mobilenet_v1_0.5_64": {"plain": 30, "remedies": 4, "qat": 3},
        }.items()
    }
    text = "\n".join(table.section(found))
    assert "| mobilenet_v1_0.25_64 | noise | 90.00% | PTQ, plain | 87.00% | -3.00 (" in text
    assert "|  |  |  | QAT | 89.80% | -0.20 (" in text
    assert (
        "2 of 4 demands are met: mobilenet_v1_0.5_64 with PTQ with remedies loses 0.40 points "
        "where 0.3 are allowed; mobilenet_v1_0.5_64 with QAT loses 0.30 points where 0.2 are"
    ) in text
    assert "- mobilenet_v1_0.5_64: bias; float: stem" in text


def test_what_is_not_measured_yet_is_named(measured: Callable[..., Any]) -> None:
    table = sys.modules["remedy_table"]
    assert len(table.NAMES) == 10
    found = {name: measured(name, plain=0, remedies=0, qat=0) for name in table.NAMES}
    assert "Not measured yet" not in "\n".join(table.section(found))
    del found["mobilenet_v2_1.0_64"].ways["qat"], found["mobilenet_v1_1.0_64"]
    text = "\n".join(table.section(found))
    assert "Not measured yet: mobilenet_v1_1.0_64, mobilenet_v2_1.0_64 (QAT)." in text


def test_whether_the_calibration_pictures_matter_is_told(measured: Callable[..., Any]) -> None:
    table, records = sys.modules["remedy_table"], sys.modules["network_records"]
    one = measured("mobilenet_v1_0.25_64", plain=5)
    assert "none in common" not in "\n".join(table.section({"mobilenet_v1_0.25_64": one}))
    plain = one.ways["plain"]
    drift = plain.int8.drift
    other = records.Robustness(
        dataset="noise", split="val", calibrated=200, top1=(plain.int8.top1, plain.int8.top1),
        change=drift.top1, agreement=drift.agreement, snr_db=None, same=False,
    )  # fmt: skip
    one.ways["plain"] = msgspec.structs.replace(plain, robustness=other)
    text = "\n".join(table.section({"mobilenet_v1_0.25_64": one}))
    assert "- mobilenet_v1_0.25_64: -0.50 (" in text
    assert "**not the same**" in text
