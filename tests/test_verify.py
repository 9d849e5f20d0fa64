from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenet import bundle, image, runtime, verify
from edgenet.bundle import Bundle, FileRecord
from edgenet.cli.main import main
from edgenet.errors import MissingPackage
from edgenet.runtime.litert import LiteRT
from edgenet.spec import EXPORTED

for engine in ("ai_edge_litert", "onnxruntime", "cv2"):
    pytest.importorskip(engine, reason=f"{engine} is not installed")

TINY = Path(__file__).parent / "golden" / "tiny"


@pytest.fixture
def tiny(tmp_path):
    """A copy of the golden bundle that a test may change and seal again."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def reseal(root, path, data, **record):
    """Replace a file and what the manifest says of it."""
    (root / path).write_bytes(data)
    content = json.loads((root / "manifest.json").read_bytes())
    for place in (*content["files"].values(), *content["models"].values()):
        if place["path"] == path:
            identity = FileRecord(*bundle.writer.identity(path, data))
            place.update(sha256=identity.sha256, size=identity.size, **record)
    (root / "manifest.json").write_text(json.dumps(content))


def edit_array(root, path, change):
    array = np.load(root / path)
    change(array)
    reseal(root, path, bundle.writer.npy(array))


def checks(root, **options):
    return {(c.stage, c.variant): c for c in verify.verify(Bundle.open(root), **options)}


def run(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def test_untouched_bundle_is_equal_in_every_stage():
    found = checks(TINY)
    assert list(found) == [
        ("resize", None),
        *((stage, variant) for variant in EXPORTED for stage in ("input", "logits")),
    ]
    for (stage, variant), check in found.items():
        near = stage == "logits" and variant.startswith("fp32")
        assert check.status in (("equal", "within tolerance") if near else ("equal",))
    assert found["logits", "int8.tflite"].detail == runtime.available()["litert"]


# each stage on its own


def test_one_grey_level_in_the_resize_is_found(tiny, monkeypatch):
    fit = image.fit

    def brighter(rgb, preprocess):
        fitted = fit(rgb, preprocess)
        fitted[3, 3, 0] ^= 1
        return fitted

    monkeypatch.setattr(image, "fit", brighter)
    found = checks(tiny)
    resize = found.pop(("resize", None))
    assert (resize.status, resize.detail) == (
        "differs",
        "0.1% of the values by up to 1 grey levels",
    )
    assert {check.status for check in found.values()} <= {"equal", "within tolerance"}


def test_input_conversion_that_is_off_by_one_is_found(monkeypatch):
    as_tensor = image.as_tensor

    def shifted(pixels, preprocess, tensor):
        made = as_tensor(pixels, preprocess, tensor)
        return made if tensor.dtype == "float32" else np.where(made < 127, made + 1, made)

    monkeypatch.setattr(image, "as_tensor", shifted)
    found = checks(TINY)
    assert found["input", "int8.tflite"].status == "differs"
    assert found["input", "fp32.tflite"].status == "equal"
    assert ("logits", "int8.tflite") not in found


def test_model_whose_input_is_not_as_recorded_is_found(tiny):
    record = json.loads((tiny / "manifest.json").read_bytes())["models"]["int8.tflite"]
    record["inputs"][0]["zero_point"] = [-127]
    reseal(
        tiny,
        "models/int8.tflite",
        (tiny / "models/int8.tflite").read_bytes(),
        inputs=record["inputs"],
    )
    check = checks(tiny)["input", "int8.tflite"]
    assert check.status == "differs"
    assert "zero point (-128,), the manifest says int8 (1, 16, 16, 3)" in check.detail


def test_one_step_of_one_int8_logit_differs(tiny):
    def step(array):
        array[2, 1] += 1

    edit_array(tiny, "golden/outputs/int8.onnx.npy", step)
    found = checks(tiny)
    assert found["logits", "int8.onnx"].status == "differs"
    assert found["logits", "int8.onnx"].detail.endswith("; 2.8% of the logits by up to 1 steps")
    assert found["logits", "int8.tflite"].status == "equal"


@pytest.mark.parametrize(
    ("steps", "status"), [(1, "other rounding"), (4, "other rounding"), (5, "differs")]
)
def test_other_family_of_rounding_may_be_a_few_steps_away(tiny, steps, status):
    def step(array):
        array[2, 1] += steps

    edit_array(tiny, "golden/outputs/int8.tflite.npy", step)
    assert checks(tiny)["logits", "int8.tflite"].status == "differs"
    check = checks(tiny, resolver="reference")["logits", "int8.tflite"]
    assert check.status == status
    said = "it rounds gemmlowp-double, the golden logits float32-half-even"
    assert (said in check.detail) == (status == "other rounding")


@pytest.mark.parametrize(("share", "status"), [(0.5, "within tolerance"), (2, "differs")])
def test_float_logits_are_held_to_the_stated_tolerance(tiny, share, status):
    def move(array):
        array[0, 0] += share * verify.TOLERANCES["float"] * np.max(np.abs(array))

    edit_array(tiny, "golden/outputs/fp32.onnx.npy", move)
    assert checks(tiny)["logits", "fp32.onnx"].status == status


@pytest.mark.parametrize(("share", "status"), [(0.5, "within tolerance"), (2, "differs")])
def test_activations_that_the_engine_quantizes_have_a_tolerance_of_their_own(tiny, share, status):
    def move(array):
        array[0, 0] += share * verify.TOLERANCES["dynamic"] * np.max(np.abs(array))

    edit_array(tiny, "golden/outputs/fp32.tflite.npy", move)
    says(tiny, "fp32.tflite", "dynamic")
    assert checks(tiny)["logits", "fp32.tflite"].status == status


@pytest.mark.parametrize(("steps", "status"), [(4, "within tolerance"), (5, "differs")])
def test_int8_with_float_layers_may_be_a_few_steps_away_on_every_engine(tiny, steps, status):
    def step(array):
        array[2, 1] += steps

    edit_array(tiny, "golden/outputs/int8.onnx.npy", step)
    says(tiny, "int8.onnx", "mixed")
    check = checks(tiny)["logits", "int8.onnx"]
    assert check.status == status
    assert f"by up to {steps} steps, 4 are allowed where some layers are float" in check.detail


def says(root, variant, rounding):
    """Put another rounding into a manifest."""
    content = json.loads((root / "manifest.json").read_bytes())
    content["models"][variant]["rounding"] = rounding
    (root / "manifest.json").write_text(json.dumps(content))


def test_swapped_channels_are_found_in_the_first_stage_that_swaps(tiny):
    frames = np.load(tiny / "golden/frames.npy")[..., ::-1]
    reseal(tiny, "golden/frames.npy", bundle.writer.npy(frames))
    found = checks(tiny)
    assert found["resize", None].status == "differs"
    assert found["logits", "int8.tflite"].status == "equal"


def test_another_model_is_found(tiny):
    """A model with one weight changed: it still loads, and only its logits tell."""
    model = bytearray((tiny / "models/int8.tflite").read_bytes())
    session = LiteRT(preserve_all=True).open(tiny / "models/int8.tflite")
    weights = session.tensor(session.operators()[-1].inputs[1])
    model[model.index(weights.tobytes()) + 1] ^= 0x40
    reseal(tiny, "models/int8.tflite", bytes(model))
    found = checks(tiny)
    assert found["input", "int8.tflite"].status == "equal"
    assert found["logits", "int8.tflite"].status == "differs"


# what cannot be run


def without(monkeypatch, *engines):
    for engine in engines:

        def missing(engine=engine):
            raise MissingPackage(engine, "pc", needed_for="running a model")

        monkeypatch.setattr(
            runtime.litert if engine == "litert" else runtime.onnx, "engine", missing
        )
        monkeypatch.setitem(runtime._ENGINES, engine, missing)


def test_variant_without_an_engine_is_skipped_with_the_reason(monkeypatch):
    without(monkeypatch, "onnxruntime")
    check = checks(TINY)["logits", "int8.onnx"]
    assert (check.status, check.detail) == (
        "skipped",
        "running a model needs onnxruntime, which is not installed; run: pip install 'edgenet[pc]'",
    )


def test_resize_without_opencv_is_skipped_with_the_reason(monkeypatch):
    def missing(rgb, preprocess):
        raise MissingPackage("OpenCV", "image", needed_for="reading a picture")

    monkeypatch.setattr(image, "fit", missing)
    found = checks(TINY)
    assert found["resize", None].status == "skipped"
    assert found["logits", "int8.tflite"].status == "equal"


# the command


def test_command_says_that_the_machine_computes_the_same():
    result = run(TINY)
    assert result.exit_code == 0
    assert "every file is as it was written; 6 golden frames" in result.stdout
    assert result.stdout.endswith("This machine computes what the host computed.\n")


def test_command_names_the_stage_that_differs_and_fails(tiny):
    def step(array):
        array[2, 1] += 1

    edit_array(tiny, "golden/outputs/int8.onnx.npy", step)
    result = run(tiny)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: the logits stage of int8.onnx differs from the host's: "
    )
    assert "computes what the host computed" not in result.stdout


def test_command_writes_json(tiny):
    result = run(TINY, "--json")
    record = json.loads(result.stdout)
    assert (result.exit_code, record["bundle"], len(record["checks"])) == (0, "tiny", 9)
    assert record["checks"][0] == {
        "stage": "resize",
        "variant": None,
        "status": "equal",
        "detail": "",
    }


def test_command_without_any_engine_says_that_nothing_is_proved(monkeypatch):
    without(monkeypatch, "litert", "onnxruntime")
    result = run(TINY)
    assert result.exit_code == 1
    assert "Error: no model could be run here, so nothing is proved: running a model needs" in (
        result.stderr
    )


def test_command_says_how_many_were_skipped(monkeypatch):
    without(monkeypatch, "onnxruntime")
    result = run(TINY)
    assert result.exit_code == 0
    assert result.stdout.endswith("what the host computed; 2 models could not be run.\n")


def test_command_says_that_the_rounding_is_another(tiny):
    def step(array):
        array[2, 1] += 1

    edit_array(tiny, "golden/outputs/int8.tflite.npy", step)
    result = run(tiny, "--resolver", "reference")
    assert result.exit_code == 0
    assert result.stdout.endswith(
        "This machine computes what the host computed, but for the rounding of its int8 kernels.\n"
    )


def test_command_finds_a_changed_file(tiny):
    path = tiny / "models" / "int8.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    result = run(tiny)
    assert result.exit_code == 1
    assert "int8.tflite: sha256 is" in result.stderr


def test_command_finds_no_bundle(tmp_path):
    result = run(tmp_path / "none")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: nothing at ")
