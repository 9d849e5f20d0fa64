"""Foreign models through the whole chain: bundle, verify, run, evaluate, profile."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from coral import COMPILES, channel_max, compiled, write_compiler
from strangers import CLASSES, SIDE, file, float_model, integer_model, linear, metadata

from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.runner import Frame
from edgenet.stream.classify import Classifier, probabilities

LABELS = ("ant", "bee", "cat", "dog", "eel")


def run(*words):
    return CliRunner().invoke(main, [*map(str, words)])


def made(*words):
    result = run("bundle", *words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With labels.txt and a model of each kind; no compiler is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    models = {
        "float": file(float_model()),
        "softmax": file(float_model(softmax=True)),
        "planar": file(float_model(planar=True)),
        "int8": file(integer_model("int8")),
        "uint8": file(integer_model("uint8")),
        "int8_softmax": file(integer_model("int8", softmax=True)),
        "uint8_softmax": file(integer_model("uint8", softmax=True)),
        "told": file(float_model(), metadata=metadata(), labels=LABELS),
    }
    for name, content in models.items():
        (tmp_path / f"{name}.tflite").write_bytes(content)
    return tmp_path


def expected(picture):
    """Probabilities by the definition: pixels of -1 to 1, one linear layer, softmax."""
    weights, bias = linear()
    logits = weights @ (picture.reshape(-1) / 127.5 - 1) + bias
    return probabilities(logits)


KINDS = {
    "float": ("--preprocess", "tf"),
    "softmax": ("--mean", "0.5", "--std", "0.5,0.5,0.5"),
    "planar": ("--preprocess", "tf"),
    "int8": (),
    "uint8": (),
    "int8_softmax": (),
    "uint8_softmax": (),
    "told": (),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers_as_its_definition_says(folder, kind):
    labels = () if kind == "told" else ("--labels", folder / "labels.txt")
    made(folder / f"{kind}.tflite", *labels, *KINDS[kind], "-o", folder / "b")
    bundle = Bundle.open(folder / "b")
    assert (bundle.labels, bundle.spec.arch, bundle.manifest.name) == (LABELS, "foreign", kind)
    assert bundle.manifest.schema == (2 if "softmax" in kind else 1)
    classifier = Classifier.open(bundle, bundle.variants[0])
    picture = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    found = probabilities(classifier(Frame(0, 0.0, picture)).logits)
    tolerance = 0.06 if "int8" in kind else 1e-5
    np.testing.assert_allclose(found, expected(picture), atol=tolerance)
    assert run("verify", folder / "b").exit_code == 0


def test_a_bundle_that_is_replaced_is_said(folder):
    words = (folder / "int8.tflite", "--labels", folder / "labels.txt", "-o", folder / "b")
    assert "replaced the" not in made(*words).stdout
    assert "\n  replaced the bundle that was there\n" in made(*words).stdout


def test_model_goes_through_every_command(folder):
    """Two pictures of each class, named by the model itself, so that its accuracy is 1."""
    made(
        folder / "softmax.tflite", folder / "uint8.tflite", "--labels", folder / "labels.txt",
        "--preprocess", "tf", "-o", folder / "b",
    )  # fmt: skip
    bundle = Bundle.open(folder / "b")
    assert bundle.variants == ("fp32.tflite", "int8.tflite")
    classifier = Classifier.open(bundle, "fp32.tflite")
    rng = np.random.default_rng(2)
    left = dict.fromkeys(LABELS, 2)
    for index in range(3000):
        low, high = sorted(rng.integers(0, 256, 2))
        picture = rng.integers(low, high + 1, (SIDE, SIDE, 3), np.uint8)
        label = LABELS[int(np.argmax(classifier(Frame(0, 0.0, picture)).logits))]
        if left[label]:
            left[label] -= 1
            place = folder / "data" / "test" / label
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{index}.png"), picture[..., ::-1])
    assert not any(left.values())
    (folder / "data" / "train").symlink_to(folder / "data" / "test")

    evaluated = run("evaluate", folder / "b", "--data", folder / "data", "--json")
    report = json.loads(evaluated.stdout)
    assert report["results"][0]["top1"]["count"] == report["images"] == 10
    assert report["reference"] == "fp32.tflite"
    assert report["results"][1]["drift"]["agreement"]["count"] >= 9

    answered = run("run", folder / "b", "--source", folder / "data" / "test" / "cat", "--json")
    assert answered.exit_code == 0, answered.output
    assert {json.loads(line)["top"][0]["label"] for line in answered.stdout.splitlines()} == {"cat"}

    profiled = run(
        "profile", folder / "b", "--num-threads", "1", "--num-runs", "2", "--warmup-runs", "1",
        "--min-secs", "0", "--variant", "int8.tflite", "--json",
    )  # fmt: skip
    assert profiled.exit_code == 0, profiled.output
    assert json.loads(profiled.stdout)["arch"] == "foreign"

    counted = run("info", folder / "b")
    assert counted.exit_code == 1
    assert "edgenet did not train this network and cannot count it" in counted.stderr


def test_bundle_of_one_model_is_evaluated_without_the_limits_that_compare(folder):
    made(folder / "int8.tflite", "--labels", folder / "labels.txt", "-o", folder / "b")
    for label in LABELS:
        for split in ("train", "test"):
            place = folder / "data" / split / label
            place.mkdir(parents=True)
            picture = np.full((SIDE, SIDE, 3), 40 * LABELS.index(label), np.uint8)
            cv2.imwrite(str(place / "1.png"), picture)
    result = run("evaluate", folder / "b", "--data", folder / "data")
    assert result.exit_code == 0, result.output
    assert "no fp32 model to compare with; the target's limits top1_drop, agreement" in (
        result.stderr
    )
    asked = run("evaluate", folder / "b", "--data", folder / "data", "--limit", "agreement=0.9")
    assert asked.exit_code == 2
    assert "limit agreement cannot be judged" in asked.stderr


def test_same_models_give_the_same_bytes(folder):
    for name in ("a", "b"):
        made(folder / "uint8.tflite", "--labels", folder / "labels.txt", "-o", folder / name)
    assert Bundle.open(folder / "a").sha256 == Bundle.open(folder / "b").sha256
    manifest = (folder / "a" / "manifest.json").read_text()
    assert str(folder) not in manifest


def test_summary_says_what_was_read(folder):
    result = made(
        folder / "uint8_softmax.tflite", "--labels", folder / "labels.txt", "-o", folder / "b"
    )
    assert "takes uint8 1x8x8x3, gives uint8 probabilities" in result.stdout
    assert "a picture is resized by stretch; mean 0.502, 0.502, 0.502, std 0.5, 0.5, 0.5" in (
        result.stdout
    )
    as_json = made(folder / "told.tflite", "-o", folder / "c", "--json")
    assert json.loads(as_json.stdout)["spec"]["arch"] == "foreign"


REFUSED = {
    "no labels": (
        ("float.tflite", "--preprocess", "tf"), 2,
        "does not say what its 5 classes are; give a file of one class a line with --labels",
    ),
    "no normalization": (
        ("float.tflite", "--labels", "labels.txt"), 2,
        "does not say how its input is normalized; say it with --preprocess torch|tf|unit|pixels",
    ),
    "off by one": (
        ("int8.tflite", "--labels", "four.txt"), 2,
        "gives 5 values, but there are 4 labels; its first value may be a background class",
    ),
    "two of a kind": (
        ("int8.tflite", "uint8.tflite", "--labels", "labels.txt"), 1,
        "are both int8.tflite; a bundle holds one of each",
    ),
    "two networks": (
        ("largest.tflite", "float.tflite", "--labels", "labels.txt"), 1,
        "gives 3 values",
    ),
    "no target for it": (
        ("int8.tflite", "--labels", "labels.txt", "--target", "board"), 1,
        "board runs fp32.onnx, not int8.tflite",
    ),
    "nothing there": (("none.tflite",), 2, "nothing at"),
    "no preset": (
        ("int8.tflite", "--preprocess", "caffe"), 2, "'caffe' is not one of 'torch', 'tf'",
    ),
    "compiled of another": (
        ("int8.tflite", "--labels", "labels.txt", "--compiled", "largest_edgetpu.tflite"), 1,
        "it was compiled from another model",
    ),
    "not compiled": (
        ("int8.tflite", "--labels", "labels.txt", "--compiled", "uint8.tflite"), 1,
        "is not compiled for the Edge TPU; run: edgetpu_compiler -s",
    ),
    "compiled without its original": (
        ("float.tflite", "--labels", "labels.txt", "--compiled", "largest_edgetpu.tflite"), 2,
        "--compiled needs the int8 .tflite beside it",
    ),
    "no compiled file": (
        ("int8.tflite", "--labels", "labels.txt", "--compiled", "none.tflite"), 2, "nothing at",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_one_sentence_and_leave_nothing(folder, name):
    (folder / "four.txt").write_text("\n".join(LABELS[:4]))
    (folder / "largest.tflite").write_bytes(channel_max())
    (folder / "largest_edgetpu.tflite").write_bytes(compiled(channel_max()))
    (folder / "board").mkdir()
    (folder / "board" / "target.toml").write_text(
        'name = "board"\ntitle = "x"\nbackends = ["onnxruntime"]\nvariants = ["fp32.onnx"]\n'
        '[requires]\nextra = "onnx"\n'
    )
    words, code, sentence = REFUSED[name]
    places = [
        str(folder / word) if word.endswith((".tflite", ".txt")) or word == "board" else word
        for word in words
    ]
    result = run("bundle", *places, "-o", folder / "out")
    assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr
    assert not (folder / "out").exists()


def test_compiled_model_joins_a_bundle_and_a_model(folder):
    (folder / "three.txt").write_text("red\ngreen\nblue\n")
    (folder / "largest.tflite").write_bytes(channel_max())
    (folder / "c_edgetpu.tflite").write_bytes(compiled(channel_max()))
    words = (folder / "largest.tflite", "--labels", folder / "three.txt")
    first = made(*words, "--target", "coral", "-o", folder / "plain")
    assert "It is not compiled yet: edgetpu_compiler is not here." in first.stdout
    assert f"edgenet bundle {folder / 'plain'} --compiled int8_edgetpu.tflite" in first.stdout
    both = made(*words, "--compiled", folder / "c_edgetpu.tflite", "-o", folder / "both")
    later = made(
        folder / "plain", "--compiled", folder / "c_edgetpu.tflite", "-o", folder / "plain"
    )
    for result, place in ((both, "both"), (later, "plain")):
        assert "int8_edgetpu.tflite" in result.stdout
        bundle = Bundle.open(folder / place)
        assert bundle.variants == ("int8.tflite", "int8_edgetpu.tflite")
        assert bundle.manifest.versions["edgetpu_compiler"] == "16.0.384591198"


def test_compiler_on_the_path_compiles(folder):
    (folder / "three.txt").write_text("red\ngreen\nblue\n")
    (folder / "largest.tflite").write_bytes(channel_max())
    write_compiler(folder / "bin", COMPILES)
    words = (folder / "largest.tflite", "--labels", folder / "three.txt", "-o", folder / "b")
    result = made(*words, "--target", "coral")
    assert "edgetpu_compiler 16.0.384591198: 2 of 2 operators, one part" in result.stdout
    assert "The rules say the same." in result.stdout
    assert Bundle.open(folder / "b").variants == ("int8.tflite", "int8_edgetpu.tflite")
    made(*words)
    made(folder / "b", "-o", folder / "b")
    assert "int8_edgetpu.tflite" in Bundle.open(folder / "b").variants


def test_compiler_that_refuses_leaves_a_bundle_for_the_cpu(folder):
    (folder / "three.txt").write_text("red\ngreen\nblue\n")
    (folder / "largest.tflite").write_bytes(channel_max())
    write_compiler(folder / "bin", "print('Internal compiler error. Aborting!'); sys.exit(1)")
    result = made(
        folder / "largest.tflite", "--labels", folder / "three.txt", "--target", "coral",
        "-o", folder / "b",
    )  # fmt: skip
    assert "warning: edgetpu_compiler refuses int8.tflite: Internal compiler error" in result.stderr
    assert Bundle.open(folder / "b").variants == ("int8.tflite",)


def test_bundle_with_options_of_a_model_is_refused(folder):
    made(folder / "int8.tflite", "--labels", folder / "labels.txt", "-o", folder / "b")
    result = run("bundle", folder / "b", "--preprocess", "tf", "-o", folder / "c")
    assert (result.exit_code, "drop --preprocess" in result.stderr) == (2, True)
    result = run("bundle", folder / "b", "-o", folder / "c")
    assert result.exit_code == 2
    assert "edgetpu_compiler is not on the PATH; give what it made elsewhere" in result.stderr


def test_classes_are_those_of_the_model():
    assert len(LABELS) == CLASSES
