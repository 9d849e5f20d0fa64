"""A checkpoint to a bundle: what it holds, that it is the same each time, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import click.testing
import msgspec
import numpy as np
import pytest
import torch

from edgenet import golden, verify
from edgenet import target as targets
from edgenet.bundle import Bundle
from edgenet.cli import export as export_command
from edgenet.cli.main import main
from edgenet.dataset import open_dataset
from edgenet.errors import ExportError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.host.calibration import Choice
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.spec import EXPORTED, ModelSpec, Preprocess

TINY = Path(__file__).parent.parent / "golden" / "tiny"
LABELS = tuple("0123456789")
SPEC = ModelSpec("mobilenet_v1", 0.25, LABELS, Preprocess(32, 32))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    checkpoints.save(folder, Checkpoint(spec=SPEC), build(SPEC).state_dict())
    return folder


@pytest.fixture(scope="module")
def choice() -> Choice:
    return Choice(open_dataset("digits"), samples=16)


@pytest.fixture(scope="module")
def bundle(
    checkpoint: Path, choice: Choice, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    stages: list[str] = []
    yield exporter.export(
        checkpoint,
        targets.load("pc"),
        tmp_path_factory.mktemp("out") / "bundle",
        calibration=choice,
        command="edgenet export",
        progress=lambda what, done, total: stages.append(what),
    )
    assert {"calibrating", "writing int8.tflite", "answering the golden frames"} <= set(stages)


def test_the_bundle_holds_every_variant_of_its_target(bundle: Bundle) -> None:
    assert set(bundle.variants) == set(EXPORTED)


def test_the_bundle_verifies_where_it_was_made(bundle: Bundle) -> None:
    checks = verify.verify(Bundle.open(bundle.root))
    assert {check.status for check in checks} == {"equal"}


def test_the_manifest_says_what_calibrated_it_and_what_made_it(
    bundle: Bundle, choice: Choice
) -> None:
    calibration = bundle.manifest.calibration
    assert calibration is not None
    held_out = {choice.dataset.evaluation.sha256(i) for i in range(len(choice.dataset.evaluation))}
    assert (calibration.images, calibration.source) == (16, "digits train")
    assert held_out.isdisjoint(calibration.sha256)
    assert {"edgenet", "torch", "litert-torch"} <= set(bundle.manifest.versions)
    assert bundle.manifest.command == "edgenet export"


def test_int8_takes_the_pixel_and_float_takes_its_share_of_255(bundle: Bundle) -> None:
    tflite = bundle.record("int8.tflite").inputs[0]
    assert (tflite.dtype, tflite.zero_point) == ("int8", (-128,))
    assert tflite.scale == pytest.approx((1 / 255,), rel=1e-6)
    assert bundle.record("fp32.tflite").inputs[0].dtype == "float32"


def test_float_models_are_the_network_that_was_trained(bundle: Bundle, checkpoint: Path) -> None:
    _, network = checkpoints.load_network(checkpoint)
    found = bundle.golden()
    pictures = torch.from_numpy(found.inputs).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        logits = network(pictures).numpy()
    for variant in ("fp32.tflite", "fp32.onnx"):
        # float32 sums in another order; a rounded weight would be off by 1e-3
        np.testing.assert_allclose(found.outputs[variant], logits, atol=1e-5)


def test_an_export_is_the_same_each_time(
    bundle: Bundle, checkpoint: Path, choice: Choice, tmp_path: Path
) -> None:
    again = exporter.export(
        checkpoint,
        targets.load("pc"),
        tmp_path / "again",
        calibration=choice,
        command="edgenet export",
    )
    assert msgspec.to_builtins(again.manifest) == msgspec.to_builtins(bundle.manifest)


def test_a_checkpoint_without_calibration_asks_for_pictures(
    checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="holds no calibration; give its training pictures"):
        exporter.export(checkpoint, targets.load("rpi"), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_golden_frames_differ_in_size_from_the_input_and_from_each_other() -> None:
    frames = golden.draw(32, 48)
    assert frames.shape == (6, 48, 96, 3)
    assert frames.dtype == np.uint8
    assert len({frame.tobytes() for frame in frames}) == 6


def test_golden_frames_never_change() -> None:
    # devices in the field were told these; a change makes every old bundle fail on re-export
    assert golden.draw(32, 32)[0, 0, 0].tolist() == [255, 0, 0]
    assert golden.draw(32, 32).astype(np.int64).sum(axis=(1, 2, 3)).tolist() == GOLDEN_SUMS


GOLDEN_SUMS = [1175040, 1175040, 742560, 322877, 1297731, 1220802]


def run(*words: str | Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [str(word) for word in words])


def test_export_lists_the_targets_when_none_is_given() -> None:
    result = run("export")
    assert result.exit_code == 2
    assert f"Choose from: {', '.join(targets.names())}" in " ".join(result.output.split())


def test_export_names_the_target_that_was_meant(tmp_path: Path) -> None:
    result = run("export", "--target", "rip", "-o", tmp_path / "b")
    assert result.exit_code == 2
    assert f"did you mean 'rpi'? ({', '.join(targets.names())})" in result.output


def test_export_without_the_shipped_weights_asks_for_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SHIPPED", "net")
    result = run("export", "--target", "rpi", "-o", tmp_path / "bundle")
    assert result.exit_code == 1
    assert "lacks the checkpoint net; install edgenet again, or name another" in result.output


def test_export_says_where_the_bundle_is_and_what_comes_next(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    result = run(
        *("export", "--target", "rpi", "--model", checkpoint, "--data", "digits"),
        *("--calib-samples", "8", "-o", out),
    )
    assert result.exit_code == 0, result.output
    assert f"{out}  for rpi: mobilenet_v1_0.25_32" in result.output
    assert f"edgenet verify {out}" in result.output
    assert "replaced" not in result.output
    assert Bundle.open(out).variants == ("fp32.tflite", "int8.tflite")


def test_export_says_that_fewer_pictures_were_used_than_asked_for() -> None:
    bundle = Bundle.open(TINY)
    assert bundle.manifest.calibration is not None
    used = bundle.manifest.calibration.images

    def said(asked_for: int) -> str:
        return export_command._summary(
            bundle, [], replaced=False, onward=False, asked_for=asked_for
        )

    assert f"calibrated with {used} pictures of " in said(5000)
    assert said(5000).endswith("); 5000 were asked for")
    assert "asked for" not in said(used)


def test_quantize_keeps_the_calibration_so_that_export_needs_no_pictures(
    checkpoint: Path, tmp_path: Path
) -> None:
    calibrated = tmp_path / "calibrated"
    result = run(
        *("quantize", checkpoint, "--data", "digits", "--calib-samples", "8"), "-o", calibrated
    )
    assert result.exit_code == 0, result.output
    assert "calibrated with 8 pictures of digits train" in result.output
    assert checkpoints.read_record(calibrated).calibration is not None


def test_the_folder_that_a_bundle_is_written_to_does_not_change_the_bundle(
    checkpoint: Path, tmp_path: Path
) -> None:
    words = ("--target", "rpi", "--data", "digits", "--calib-samples", "8")
    shutil.copytree(TINY, tmp_path / "another")
    for out in ("one", "another"):
        result = run("export", *words, "--model", checkpoint, "-o", tmp_path / out)
        assert result.exit_code == 0, result.output
        replaced = "\n  replaced the bundle that was there\n" in result.output
        assert replaced == (out == "another")
    one, another = (tmp_path / out / "manifest.json" for out in ("one", "another"))
    assert one.read_bytes() == another.read_bytes()
    assert Bundle.open(tmp_path / "one").manifest.command == (
        "edgenet export --target rpi --data digits --calib-samples 8 --model MODEL -o OUT"
    )


def test_an_option_of_calibration_is_refused_where_nothing_is_calibrated(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    result = run("export", "--target", "rpi", "--calib-method", "typo", "-o", out)
    assert result.exit_code == 2
    assert "--calib-method has no effect on a recorded calibration; drop it" in result.output
    assert not out.exists()
