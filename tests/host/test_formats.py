"""int16x8, float16 and dynamic range: what the files hold, what runs them, and what is refused."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from norms import scatter

from edgenet import golden, image, runtime, tflite, verify
from edgenet import target as targets
from edgenet.bundle import Bundle, manifest, writer
from edgenet.cli.main import main
from edgenet.dataset import open_dataset
from edgenet.drift.sqnr import sqnr_db
from edgenet.errors import BundleError, ExportError, TargetError, UsageError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.host import formats
from edgenet.host.calibration import Choice
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.host.quantizer import InputQuantization
from edgenet.runner import Frame
from edgenet.runtime.litert import LiteRT
from edgenet.spec import ASKED_FOR, ModelSpec, Preprocess
from edgenet.stream.classify import Classifier

LABELS = tuple("0123456789")
SPEC = ModelSpec("mobilenet_v1", 0.25, LABELS, Preprocess(32, 32))
ALL = ("int8", "int16x8", "float16", "dynamic")
LAYERS = 28
PLAIN = {"CONV_2D": 14, "DEPTHWISE_CONV_2D": 13, "FULLY_CONNECTED": 1}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    network = build(SPEC)
    scatter(network, centred=True)
    network.classifier.weight.data.normal_(0, 0.3)
    network.classifier.bias.data.normal_(0, 0.3)
    checkpoints.save(folder, Checkpoint(spec=SPEC), network.state_dict())
    return folder


@pytest.fixture(scope="module")
def choice() -> Choice:
    return Choice(open_dataset("digits"), samples=16)


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, choice: Choice, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    place = tmp_path_factory.mktemp("out") / "bundle"
    rpi = targets.load("rpi")
    return exporter.export(checkpoint, rpi, place, calibration=choice, quantize=ALL)


def census(bundle: Bundle, variant: str) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Operators, types of activations, and types of constants of more than one value."""
    graph = tflite.read(bundle.model(variant).read_bytes(), variant).subgraphs[0]
    used = {index for one in graph.operators for index in (*one.inputs, *one.outputs)}
    tensors = [tensor for tensor in graph.tensors if tensor.index in used]
    return (
        Counter(one.name for one in graph.operators),
        Counter(tensor.dtype for tensor in tensors if tensor.data is None),
        Counter(tensor.dtype for tensor in tensors if tensor.data is not None),
    )


def test_int16x8_holds_the_layers_and_integers_alone(bundle: Bundle) -> None:
    operators, activations, constants = census(bundle, "int16x8.tflite")
    assert operators == PLAIN
    assert activations == {"int16": LAYERS + 1}
    assert constants == {"int8": LAYERS, "int64": LAYERS}


def test_float16_holds_half_precision_constants_and_float_activations(bundle: Bundle) -> None:
    operators, activations, constants = census(bundle, "float16.tflite")
    assert operators == PLAIN | {"DEQUANTIZE": operators["DEQUANTIZE"]}
    assert set(activations) == {"float32"}
    assert constants["float16"] == operators["DEQUANTIZE"] >= LAYERS


def test_dynamic_range_holds_int8_weights_and_float_activations(bundle: Bundle) -> None:
    operators, activations, constants = census(bundle, "dynamic.tflite")
    assert operators == PLAIN
    assert activations == {"float32": LAYERS + 1}
    # depthwise weights stay float32, as every bias does
    assert constants == {"int8": LAYERS - 13, "float32": LAYERS + 13}


def test_the_int16_input_is_128_times_the_pixel(bundle: Bundle) -> None:
    takes = bundle.record("int16x8.tflite").inputs[0]
    assert (takes.dtype, takes.zero_point) == ("int16", (0,))
    assert takes.scale[0] == pytest.approx(1 / 32640, rel=1e-6)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    made = image.as_tensor(pixels, SPEC.preprocess, takes)
    assert made.dtype == np.int16
    assert np.array_equal(made[0], pixels.astype(np.int16) * 128)


def test_scales_of_int16_are_those_of_the_int8_graph(bundle: Bundle) -> None:
    names = ("int8.tflite", "int16x8.tflite")
    ours, wider = (tflite.read(bundle.model(n).read_bytes(), n).subgraphs[0] for n in names)
    for mine, other in zip(ours.operators, wider.operators, strict=True):
        held, found = ours.tensors[mine.outputs[0]], wider.tensors[other.outputs[0]]
        low, high = ((code - held.zero_point[0]) * held.scale[0] for code in (-128, 127))
        assert found.scale[0] == pytest.approx(max(-low, high) / 32767, rel=1e-5)


def logits(bundle: Bundle, variant: str, resolver: str = "auto") -> np.ndarray:
    """Real logits of the golden inputs."""
    session = LiteRT(resolver).open(bundle.model(variant))
    inputs = bundle.golden().inputs
    made = [image.as_tensor(one, SPEC.preprocess, session.inputs[0]) for one in inputs]
    rows = np.concatenate([session.run([one])[0] for one in made])
    return runtime.dequantize(rows, session.outputs[0])


@pytest.mark.parametrize(
    ("variant", "least_db"),
    [("int16x8.tflite", 25), ("float16.tflite", 50), ("dynamic.tflite", 25)],
)
def test_each_answers_as_float32_does_but_for_its_noise(bundle, variant, least_db) -> None:
    noise = sqnr_db(logits(bundle, "fp32.tflite"), logits(bundle, variant))
    assert least_db < noise < 120


def test_int16x8_is_closer_to_float32_than_int8(bundle: Bundle) -> None:
    reference = logits(bundle, "fp32.tflite")
    int8, int16 = (logits(bundle, one) for one in ("int8.tflite", "int16x8.tflite"))
    assert sqnr_db(reference, int16) > sqnr_db(reference, int8)


def test_every_set_of_kernels_gives_the_same_int16_logits(bundle: Bundle) -> None:
    expected = logits(bundle, "int16x8.tflite")
    for resolver in ("no-delegate", "reference"):
        assert np.array_equal(logits(bundle, "int16x8.tflite", resolver), expected)


def test_a_bundle_of_all_formats_verifies_and_says_its_arithmetic(bundle: Bundle) -> None:
    checks = verify.verify(bundle)
    assert {check.status for check in checks} == {"equal"}
    assert {check.variant for check in checks} == {None, *bundle.variants}
    assert [bundle.record(one).rounding for one in bundle.variants] == [
        "float",
        "float32-half-even",
        "int16x8",
        "float",
        "dynamic",
    ]
    assert runtime.rounding(LiteRT().open(bundle.model("int16x8.tflite"))) == "int16x8"


@pytest.mark.parametrize("variant", ["int16x8.tflite", "float16.tflite"])
def test_verify_sees_a_model_whose_colours_are_swapped(bundle, variant, monkeypatch) -> None:
    usual = image.as_tensor
    monkeypatch.setattr(
        verify.image, "as_tensor", lambda pixels, *rest: usual(pixels, *rest)[..., ::-1]
    )
    golden_frames = bundle.golden()
    session = LiteRT().open(bundle.model(variant))
    assert verify._logits(bundle, golden_frames, variant, session).status == "differs"


@pytest.mark.parametrize("variant", ASKED_FOR.values())
def test_the_live_loop_classifies_with_it(bundle, variant) -> None:
    classifier = Classifier.open(bundle, variant)
    frames = golden.draw(32, 32)
    gives = bundle.record(variant).outputs[0]
    expected = runtime.dequantize(bundle.golden().outputs[variant], gives)
    found = [classifier(Frame(index, 0.0, one)).logits for index, one in enumerate(frames)]
    assert np.allclose(found, expected, atol=1e-5)


def test_what_was_asked_for_is_what_the_target_runs(checkpoint, tmp_path) -> None:
    rpi = targets.load("rpi")
    made = exporter.export(checkpoint, rpi, tmp_path / "made", quantize=("float16",))
    assert made.variants == ("fp32.tflite", "float16.tflite")
    assert made.manifest.calibration is None
    assert rpi.choose(made) == "float16.tflite"
    assert rpi.runner(made).variant == "float16.tflite"


def test_no_quantization_leaves_float32_alone(checkpoint, tmp_path) -> None:
    made = exporter.export(checkpoint, targets.load("pc"), tmp_path / "pc", quantize=("none",))
    assert made.variants == ("fp32.tflite", "fp32.onnx")
    assert made.manifest.schema == 1


def test_pictures_that_nothing_needs_are_refused(checkpoint, choice, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"--data gives int8 and int16x8 their ranges.*leave it"):
        exporter.export(
            checkpoint,
            targets.load("rpi"),
            tmp_path / "out",
            calibration=choice,
            quantize=("dynamic",),
        )
    assert not (tmp_path / "out").exists()


def test_int16x8_without_pictures_or_ranges_asks_for_them(checkpoint, tmp_path) -> None:
    with pytest.raises(ExportError, match="no calibration; give its training pictures with --data"):
        exporter.export(checkpoint, targets.load("rpi"), tmp_path / "out", quantize=("int16x8",))


@pytest.mark.parametrize("name", ["coral", "mcu"])
@pytest.mark.parametrize("asked_for", ["int16x8", "float16", "dynamic", "none"])
def test_int8_targets_refuse_the_others_and_name_their_own(name, asked_for) -> None:
    words = (
        f"target {name} runs int8, not {asked_for}; choose among those, or name another --target"
    )
    with pytest.raises(UsageError, match=words):
        targets.load(name).to_export((asked_for,))


def test_none_stands_alone() -> None:
    with pytest.raises(UsageError, match="none stands alone"):
        targets.load("rpi").to_export(("none", "int8"))


def test_the_edge_tpu_refuses_to_run_a_variant_of_another_format(bundle: Bundle) -> None:
    with pytest.raises(
        TargetError, match=r"coral runs int8_edgetpu\.tflite, int8\.tflite, fp32\.tflite"
    ):
        targets.load("coral").runner(bundle, variant="float16.tflite")


def test_files_of_other_operators_give_no_ranges(bundle: Bundle) -> None:
    model = bundle.model("fp32.tflite").read_bytes()
    other = tflite.read(bundle.model("int8.tflite").read_bytes(), "int8")
    graph = other.subgraphs[0]
    shorter = dataclasses.replace(graph, operators=graph.operators[:-1])
    cut = tflite.write(dataclasses.replace(other, subgraphs=(shorter,)))
    with pytest.raises(ExportError, match="others than the float graph"):
        formats.int16x8(model, cut, InputQuantization(1 / 255, -128))


@pytest.mark.slow
def test_the_same_export_gives_the_same_bytes(bundle, checkpoint, choice, tmp_path) -> None:
    again = exporter.export(
        checkpoint, targets.load("rpi"), tmp_path / "again", calibration=choice, quantize=ALL
    )
    assert again.sha256 == bundle.sha256


@pytest.mark.parametrize("variant", ASKED_FOR.values())
def test_an_older_reader_refuses_the_bundle_with_both_numbers(bundle, variant, monkeypatch) -> None:
    assert manifest.needed_schema({variant: bundle.record(variant)}) == 3
    monkeypatch.setattr(manifest, "SCHEMA", 2)
    with pytest.raises(BundleError, match="has schema 3, this edgenet reads up to 2"):
        Bundle.open(bundle.root)


def test_every_variant_has_a_rounding() -> None:
    assert set(writer.ROUNDING) == set(msgspec.inspect.type_info(manifest.Variant).values)


def export(*arguments: str):
    return CliRunner().invoke(main, ["export", *arguments])


def test_export_refuses_what_the_target_does_not_take(tmp_path: Path) -> None:
    result = export("--target", "mcu", "--quantize", "float16", "-o", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "target mcu runs int8, not float16; choose among those" in result.stderr
    assert not (tmp_path / "out").exists()


def test_export_refuses_an_unknown_quantization_with_the_known() -> None:
    result = export("--target", "rpi", "--quantize", "int4")
    assert result.exit_code == 2
    for name in (*ALL, "none"):
        assert f"'{name}'" in result.stderr


def test_export_leaves_dead_channels_where_there_is_no_int8() -> None:
    result = export("--target", "rpi", "--quantize", "float16", "--eliminate-channels")
    assert result.exit_code == 2
    assert (
        "the bundle is to hold fp32.tflite, float16.tflite; leave the option out" in result.stderr
    )


@pytest.mark.slow
def test_export_of_the_shipped_checkpoint_names_each_model(tmp_path: Path) -> None:
    words = [word for name in ALL for word in ("--quantize", name)]
    result = export("--target", "rpi", *words, "-o", str(tmp_path / "out"))
    assert result.exit_code == 0
    for name, takes in (("int16x8", "int16"), ("float16", "float32"), ("dynamic", "float32")):
        (line,) = (one for one in result.stdout.splitlines() if f"{name}.tflite" in one)
        assert f"takes {takes} 1x128x128x3" in line
