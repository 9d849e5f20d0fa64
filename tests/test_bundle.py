from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet import bundle
from edgenet.bundle import (
    Bundle,
    Calibration,
    FileRecord,
    Golden,
    Manifest,
    ModelRecord,
    ProgramRecord,
)
from edgenet.bundle import manifest as manifests
from edgenet.errors import BundleError
from edgenet.spec import EXPORTED, VARIANTS, ModelSpec, Preprocess, TensorSpec

TINY = Path(__file__).parent / "golden" / "tiny"


@pytest.fixture
def tiny(tmp_path):
    """A copy of the golden bundle that a test may damage."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def edit(root, change):
    """Apply ``change`` to the manifest's JSON and write it back."""
    content = json.loads((root / "manifest.json").read_bytes())
    change(content)
    (root / "manifest.json").write_text(json.dumps(content))


def parts(**changes):
    """Arguments of ``bundle.write`` for a bundle of one model of two classes."""
    pixel = TensorSpec("input", (1, 4, 6, 3), "int8", (1 / 255,), (-128,))
    logits = TensorSpec("logits", (1, 2), "int8", (0.5,), (3,))
    golden = Golden(
        frames=np.arange(2 * 8 * 12 * 3, dtype=np.uint8).reshape(2, 8, 12, 3),
        inputs=np.zeros((2, 4, 6, 3), np.uint8),
        outputs={"int8.tflite": np.zeros((2, 2), np.int8)},
    )
    return {
        "name": "two",
        "target": "pc",
        "spec": ModelSpec("tiny", 0.5, ("cat", "dog"), Preprocess(4, 6)),
        "models": {"int8.tflite": b"model"},
        "tensors": {"int8.tflite": ((pixel,), (logits,))},
        "golden": golden,
        "calibration": Calibration("digits train", 2, 7, "minmax", ("0" * 64, "f" * 64)),
        "drift": {"agreement": 0.99},
        "versions": {"torch": "2.13.0"},
        "command": "edgenet export --target pc",
    } | changes


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# opening


def test_golden_bundle_opens():
    opened = Bundle.open(TINY)
    assert opened.variants == EXPORTED
    assert opened.labels[:2] == ("colour card", "ramps")
    assert opened.model("int8.onnx") == TINY / "models" / "int8.onnx"
    assert opened.record("int8.tflite").rounding == "float32-half-even"
    assert opened.golden().inputs.shape == (6, 16, 16, 3)


def test_opening_needs_numpy_and_msgspec_only():
    script = f"""
import sys
for name in ("cv2", "onnxruntime", "ai_edge_litert", "tflite_runtime", "click", "torch"):
    sys.modules[name] = None
from edgenet.bundle import Bundle
Bundle.open({str(TINY)!r}).golden()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_unknown_variant_is_refused_with_the_nearest():
    with pytest.raises(BundleError, match=r"no variant 'int8\.tflit'; did you mean 'int8\.tflite'"):
        Bundle.open(TINY).model("int8.tflit")


def test_nothing_there_names_what_is_near(tiny):
    with pytest.raises(BundleError, match=r"^nothing at '.*tinny'; did you mean '.*tiny'\?$"):
        Bundle.open(tiny.with_name("tinny"))


def test_file_is_no_bundle(tiny):
    with pytest.raises(BundleError, match=r"labels\.txt is a file; a bundle is a folder; write"):
        Bundle.open(tiny / "labels.txt")


def test_folder_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"has no manifest\.json; write a bundle with: edgenet"):
        Bundle.open(tmp_path)


# malformed manifests


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"schema": 1', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\x00", "is not JSON"),
        ("[]", "holds an array; a bundle's holds an object"),
        ("null", "holds nothing; a bundle's holds an object"),
        ("3", "holds a number; a bundle's holds an object"),
        ("{}", "malformed: it has no schema number"),
        ('{"schema": "1"}', "schema is a string, not a whole number"),
        ('{"schema": true}', "schema is true or false, not a whole number"),
        ('{"schema": 1.5}', "schema is a number, not a whole number"),
        ('{"schema": 0}', "has schema 0; the first is 1"),
        ('{"schema": 1}', "malformed: object missing required field `name`"),
    ],
)
def test_manifest_that_is_none_is_refused(tiny, text, message):
    (tiny / "manifest.json").write_text(text)
    with pytest.raises(BundleError) as caught:
        Bundle.open(tiny)
    assert str(caught.value).startswith(f"{tiny}: manifest.json ")
    assert message in str(caught.value)


def test_manifest_that_is_not_utf8_is_refused(tiny):
    (tiny / "manifest.json").write_bytes(b'{"schema": 1, "name": "\xff\xfe"}')
    with pytest.raises(BundleError, match=r"manifest\.json is not JSON"):
        Bundle.open(tiny)


def test_newer_schema_is_refused_naming_both_numbers(tiny):
    (tiny / "manifest.json").write_text('{"schema": 7, "anything": [1, 2]}')
    with pytest.raises(
        BundleError, match=r"has schema 7, this edgenet reads up to 3; run: pip install --upgrade"
    ):
        Bundle.open(tiny)


REQUIRED = [one.name for one in msgspec.structs.fields(Manifest) if one.required]


@pytest.mark.parametrize("key", REQUIRED[1:])
def test_missing_key_is_named(tiny, key):
    edit(tiny, lambda content: content.pop(key))
    with pytest.raises(BundleError, match=f"malformed: object missing required field `{key}`"):
        Bundle.open(tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(name=3), "expected `str`, got `int` - at `$.name`"),
        (lambda c: c.update(models=[]), "expected `object`, got `array` - at `$.models`"),
        (lambda c: c["spec"].update(alpha="big"), "at `$.spec.alpha`"),
        (lambda c: c["spec"].update(labels="ab"), "at `$.spec.labels`"),
        (lambda c: c["spec"]["preprocess"].update(height=0), "both must be at least 1"),
        (lambda c: c["spec"]["preprocess"].update(resize="squash"), "invalid enum value 'squash'"),
        (lambda c: c["models"]["int8.onnx"].update(size="9"), "expected `int`, got `str`"),
        (lambda c: c["models"]["int8.onnx"].update(rounding="up"), "invalid enum value 'up'"),
        (lambda c: c["models"]["int8.onnx"].pop("inputs"), "missing required field `inputs`"),
        (lambda c: c["files"]["labels"].update(sha256="12"), "must be 64 digits of lower-case hex"),
        (
            lambda c: c.update(calibration={}),
            "missing required field `source` - at `$.calibration`",
        ),
    ],
)
def test_wrong_type_is_named_with_its_place(tiny, change, message):
    edit(tiny, change)
    with pytest.raises(BundleError) as caught:
        Bundle.open(tiny)
    assert str(caught.value).startswith(f"{tiny}: manifest.json is malformed: ")
    assert message in str(caught.value)


def test_reader_ignores_unknown_keys_and_variants(tiny):
    def add(content):
        for place in (content, content["spec"], content["spec"]["preprocess"]):
            place["colour"] = {"later": [1]}
        content["models"]["int8.onnx"]["colour"] = 3
        content["files"]["labels"]["colour"] = None
        content["models"]["int4.nnef"] = {"unlike": "the others"}

    edit(tiny, add)
    assert Bundle.open(tiny).manifest == Bundle.open(TINY).manifest


# files


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "models/../../secret",
        "/etc/passwd",
        "models\\int8.onnx",
        "C:/x",
        "",
        "a//b",
        "./a",
    ],
)
def test_path_that_escapes_is_refused(tiny, path):
    edit(tiny, lambda content: content["models"]["int8.onnx"].update(path=path))
    with pytest.raises(BundleError, match=r"must be relative, stay inside the bundle"):
        Bundle.open(tiny)


def test_symbolic_link_to_a_file_is_refused(tiny, tmp_path):
    (tiny / "labels.txt").rename(tmp_path / "elsewhere.txt")
    (tiny / "labels.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(BundleError, match=r"labels\.txt is a symbolic link"):
        Bundle.open(tiny)


def test_symbolic_link_to_a_folder_is_refused(tiny, tmp_path):
    (tiny / "models").rename(tmp_path / "elsewhere")
    (tiny / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"models/.* is a symbolic link"):
        Bundle.open(tiny)


def test_bundle_itself_may_be_reached_through_a_link(tiny, tmp_path):
    (tmp_path / "current").symlink_to(tiny)
    assert Bundle.open(tmp_path / "current").variants == EXPORTED


def test_missing_file_is_named(tiny):
    (tiny / "models" / "int8.onnx").unlink()
    with pytest.raises(BundleError, match=r"models/int8\.onnx is missing; copy the whole folder"):
        Bundle.open(tiny)


def test_folder_in_place_of_a_file_is_refused(tiny):
    (tiny / "labels.txt").unlink()
    (tiny / "labels.txt").mkdir()
    with pytest.raises(BundleError, match=r"labels\.txt is missing"):
        Bundle.open(tiny)


def test_wrong_size_is_named_with_both_sizes(tiny):
    path = tiny / "models" / "int8.onnx"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(BundleError, match=f"has {size + 1} bytes, manifest.json says {size}; the"):
        Bundle.open(tiny, verify=False)


def test_changed_file_is_caught_by_its_hash(tiny):
    path = tiny / "models" / "int8.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        BundleError, match=r"int8\.onnx: sha256 is .{8}…, manifest\.json says .{8}…"
    ):
        Bundle.open(tiny)
    assert Bundle.open(tiny, verify=False).variants == EXPORTED


# parts that do not fit


def test_label_count_must_be_the_output_size(tiny):
    edit(tiny, lambda content: content["spec"]["labels"].append("one too many"))
    with pytest.raises(BundleError, match=r"gives \(1, 6\), but there are 7 labels"):
        Bundle.open(tiny)


def test_labels_txt_must_be_the_labels_of_the_manifest(tiny):
    edit(tiny, lambda content: content["spec"]["labels"].__setitem__(0, "color card"))
    with pytest.raises(BundleError, match=r"labels\.txt differs from the labels in manifest\.json"):
        Bundle.open(tiny)


def test_input_must_be_of_the_size_that_preprocessing_makes(tiny):
    edit(tiny, lambda content: content["spec"]["preprocess"].update(height=17))
    with pytest.raises(
        BundleError, match=r"takes \(1, 16, 16, 3\), but the preprocessing makes \(1, 17, 16, 3\)"
    ):
        Bundle.open(tiny)


def test_integer_input_needs_a_scale(tiny):
    edit(tiny, lambda c: c["models"]["int8.onnx"]["inputs"][0].update(scale=[], zero_point=[]))
    with pytest.raises(BundleError, match=r"int8\.onnx: .* is uint8 and needs one scale and zero"):
        Bundle.open(tiny)


def test_classifier_has_one_input(tiny):
    edit(tiny, lambda c: c["models"]["int8.onnx"].update(inputs=[]))
    with pytest.raises(BundleError, match=r"int8\.onnx has 0 inputs and 1 outputs; a classifier"):
        Bundle.open(tiny)


def test_unnamed_labels_file_is_refused(tiny):
    edit(tiny, lambda content: content["files"].pop("labels"))
    with pytest.raises(BundleError, match=r"manifest\.json names no file for 'labels'"):
        Bundle.open(tiny)


def resealed(root, path, data):
    """Replace a file and its record, as a careless tool would."""
    (root / path).write_bytes(data)
    record = FileRecord(*bundle.writer.identity(path, data))

    def change(content):
        for place in content["files"].values():
            if place["path"] == path:
                place.update(msgspec.to_builtins(record))

    edit(root, change)


def test_golden_file_that_is_no_array_is_refused(tiny):
    resealed(tiny, "golden/frames.npy", b"not an array")
    with pytest.raises(BundleError, match=r"golden/frames\.npy is not a NumPy array file"):
        Bundle.open(tiny).golden()


def test_golden_file_with_a_pickle_is_never_loaded(tiny, tmp_path):
    np.save(tmp_path / "evil.npy", np.array([print], dtype=object), allow_pickle=True)
    resealed(tiny, "golden/frames.npy", (tmp_path / "evil.npy").read_bytes())
    with pytest.raises(BundleError, match=r"golden/frames\.npy is not a NumPy array file"):
        Bundle.open(tiny).golden()


def test_golden_arrays_must_fit_one_another(tiny):
    resealed(tiny, "golden/inputs.npy", bundle.writer.npy(np.zeros((5, 16, 16, 3), np.uint8)))
    with pytest.raises(
        BundleError, match=r"golden inputs are uint8 \(5, 16, 16, 3\), not uint8 \(6, 16, 16, 3\)"
    ):
        Bundle.open(tiny).golden()


# writing


def test_what_was_written_is_read(tmp_path):
    arguments = parts()
    written = bundle.write(tmp_path / "b", **arguments)
    opened = Bundle.open(tmp_path / "b")
    assert opened == written
    for key in ("name", "target", "spec", "calibration", "drift", "versions", "command"):
        assert getattr(opened.manifest, key) == arguments[key]
    record = opened.record("int8.tflite")
    assert (record.inputs, record.outputs) == arguments["tensors"]["int8.tflite"]
    assert opened.model("int8.tflite").read_bytes() == b"model"
    golden = opened.golden()
    np.testing.assert_array_equal(arguments["golden"].frames, golden.frames)
    assert golden.outputs["int8.tflite"].dtype == np.int8
    assert (tmp_path / "b" / "labels.txt").read_text() == "cat\ndog\n"


def test_same_arguments_give_the_same_bytes(tmp_path):
    bundle.write(tmp_path / "a", **parts())
    reordered = dict(reversed(parts().items()))
    bundle.write(tmp_path / "b", **reordered)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == 6


def test_bundle_that_is_there_is_replaced_whole(tmp_path):
    bundle.write(tmp_path / "b", **parts())
    bundle.write(tmp_path / "b", **parts(name="second"))
    assert Bundle.open(tmp_path / "b").manifest.name == "second"
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]


def test_destination_may_be_new_nested_or_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    bundle.write(tmp_path / "empty", **parts())
    bundle.write(tmp_path / "new" / "deeper", **parts())
    assert contents(tmp_path / "empty") == contents(tmp_path / "new" / "deeper")


def test_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "manifest.json").write_text('{"manifest_version": 3}')
    with pytest.raises(
        BundleError, match=r"thesis exists and is not a bundle; remove it or choose"
    ):
        bundle.write(tmp_path / "thesis", **parts())
    assert list(contents(tmp_path)) == [Path("thesis/manifest.json")]


def test_bundle_with_a_file_of_the_users_is_left_alone(tmp_path):
    bundle.write(tmp_path / "b", **parts())
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(
        BundleError, match=r"also holds notes\.txt, which is not part of the bundle"
    ):
        bundle.write(tmp_path / "b", **parts(name="second"))
    assert Bundle.open(tmp_path / "b").manifest.name == "two"
    assert (tmp_path / "b" / "notes.txt").read_text() == "mine"


def test_file_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(BundleError, match=r"b is a file; choose another name"):
        bundle.write(tmp_path / "b", **parts())
    assert (tmp_path / "b").read_text() == "mine"


def test_full_disk_leaves_the_old_bundle_and_nothing_else(tmp_path, monkeypatch):
    bundle.write(tmp_path / "b", **parts())
    before = contents(tmp_path)
    write_bytes, calls = Path.write_bytes, []

    def fill(path, data):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(BundleError, match=r"b: cannot be written \(No space left on device\)"):
        bundle.write(tmp_path / "b", **parts(name="second"))
    assert contents(tmp_path) == before
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]


def test_failed_rename_puts_the_old_bundle_back(tmp_path, monkeypatch):
    bundle.write(tmp_path / "b", **parts())
    before, rename = contents(tmp_path), Path.rename

    def refuse_new(path, target):
        if path.name.endswith(".new"):
            raise OSError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(BundleError, match=r"b: cannot be written \(Permission denied\)"):
        bundle.write(tmp_path / "b", **parts(name="second"))
    assert contents(tmp_path) == before


def test_parts_that_do_not_fit_are_never_put_in_place(tmp_path):
    bundle.write(tmp_path / "b", **parts())
    golden = Golden(
        parts()["golden"].frames,
        parts()["golden"].inputs,
        {"int8.tflite": np.zeros((2, 3), np.int8)},
    )
    with pytest.raises(BundleError) as caught:
        bundle.write(tmp_path / "b", **parts(golden=golden))
    assert str(caught.value) == (
        f"{tmp_path / 'b'}: golden outputs of int8.tflite are int8 (2, 3), not int8 (2, 2)"
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]
    Bundle.open(tmp_path / "b").golden()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("two\nlines", "holds a line break"),
        ("two\u2028lines", "holds a line break"),
        ("", "is empty"),
        ("caf\udce9", "is not valid Unicode"),
    ],
)
def test_label_that_a_line_cannot_hold_is_refused(tmp_path, label, message):
    spec = ModelSpec("tiny", 0.5, ("cat", label), Preprocess(4, 6))
    with pytest.raises(BundleError, match=message):
        bundle.write(tmp_path / "b", **parts(spec=spec))
    assert not list(tmp_path.iterdir())


def test_models_and_golden_outputs_must_be_of_the_same_variants(tmp_path):
    with pytest.raises(ValueError, match="differ in their variants"):
        bundle.write(tmp_path / "b", **parts(models={"int8.onnx": b"model"}))


# the manifest


text = st.text(max_size=8)
real = st.floats(allow_nan=False, allow_infinity=False, width=32)
size = st.integers(1, 4096)
digest = st.text("0123456789abcdef", min_size=64, max_size=64)
file_path = st.from_regex(r"[a-z0-9_]{1,5}(/[a-z0-9_][a-z0-9_.-]{0,4}){0,2}", fullmatch=True)
tensor = st.builds(
    TensorSpec,
    text,
    st.tuples(size, size),
    st.sampled_from(["float32", "int8", "uint8", "int16", "int32"]),
    st.tuples(real),
    st.tuples(st.integers(-128, 127)),
    st.none() | st.integers(0, 3),
)
preprocess = st.builds(
    Preprocess,
    size,
    size,
    st.sampled_from(["stretch", "center-crop", "letterbox"]),
    st.tuples(real, real, real),
    st.tuples(*[st.floats(0.001, 10)] * 3),
)
manifest = st.builds(
    Manifest,
    schema=st.just(1),
    name=text,
    target=text,
    spec=st.builds(ModelSpec, text, real, st.lists(text).map(tuple), preprocess),
    models=st.dictionaries(
        st.sampled_from(VARIANTS),
        st.builds(
            ModelRecord,
            file_path,
            digest,
            size,
            inputs=st.tuples(tensor),
            outputs=st.tuples(tensor),
            rounding=st.sampled_from(["float", "float32-half-even", "gemmlowp-double", "edgetpu"]),
            answers=st.sampled_from(["logits", "probabilities"]),
        ),
    ),
    files=st.dictionaries(text, st.builds(FileRecord, file_path, digest, size)),
    calibration=st.none() | st.builds(Calibration, text, size, size, text, st.tuples(digest)),
    drift=st.none() | st.dictionaries(text, real | text | st.lists(size)),
    versions=st.dictionaries(text, text),
    command=text,
)


@given(manifest)
def test_any_manifest_is_read_as_it_was_written(written):
    data = manifests.encode(written)
    assert manifests.decode(data) == written
    assert manifests.encode(manifests.decode(data)) == data


@given(
    st.binary(max_size=64)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | text,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(Manifest.__struct_fields__) | text, inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_bytes_make_the_reader_fail_in_another_way(data):
    with pytest.raises(BundleError):
        manifests.decode(data)


def test_specification_explains_every_key():
    words = (TINY.parents[2] / "docs" / "bundle.md").read_text(encoding="utf-8")
    records = (Manifest, ModelRecord, ProgramRecord, Calibration, TensorSpec, Preprocess)
    keys = {key for record in records for key in record.__struct_fields__}
    assert {key for key in keys if f"`{key}`" not in words} == set()
    assert f"schema {manifests.SCHEMA}" in words


def test_probabilities_need_schema_2_and_logits_do_not(tmp_path):
    assert bundle.write(tmp_path / "a", **parts()).manifest.schema == 1
    assert b"answers" not in (tmp_path / "a" / "manifest.json").read_bytes()
    written = bundle.write(tmp_path / "b", **parts(answers={"int8.tflite": "probabilities"}))
    assert written.manifest.schema == 2
    assert Bundle.open(tmp_path / "b").record("int8.tflite").answers == "probabilities"


def of_variant(variant, dtype):
    """Arguments of ``bundle.write`` for a model of another variant with the same tensors."""
    usual = parts()
    (takes,), (gives,) = usual["tensors"]["int8.tflite"]
    takes, gives = (msgspec.structs.replace(one, dtype=dtype) for one in (takes, gives))
    outputs = {variant: np.zeros((2, 2), dtype)}
    frames = usual["golden"]
    return usual | {
        "models": {variant: b"model"},
        "tensors": {variant: ((takes,), (gives,))},
        "golden": Golden(frames=frames.frames, inputs=frames.inputs, outputs=outputs),
    }


@pytest.mark.parametrize(
    ("variant", "dtype", "rounding"),
    [
        ("int16x8.tflite", "int16", "int16x8"),
        ("float16.tflite", "float32", "float"),
        ("dynamic.tflite", "float32", "dynamic"),
    ],
)
def test_other_quantizations_need_schema_3(tmp_path, monkeypatch, variant, dtype, rounding):
    written = bundle.write(tmp_path / "a", **of_variant(variant, dtype))
    assert written.manifest.schema == 3
    assert Bundle.open(tmp_path / "a").record(variant).rounding == rounding
    monkeypatch.setattr(manifests, "SCHEMA", 2)
    with pytest.raises(BundleError, match="has schema 3, this edgenet reads up to 2"):
        Bundle.open(tmp_path / "a")


def test_int8_with_float_layers_needs_schema_3(tmp_path):
    written = bundle.write(tmp_path / "a", **parts(mixed=["int8.tflite"]))
    assert (written.manifest.schema, written.record("int8.tflite").rounding) == (3, "mixed")


def test_planes_of_colour_are_the_other_layout(tmp_path):
    (takes,), gives = parts()["tensors"]["int8.tflite"]
    planes = msgspec.structs.replace(takes, shape=(1, 3, 4, 6))
    bundle.write(tmp_path / "a", **parts(tensors={"int8.tflite": ((planes,), gives)}))
    turned = msgspec.structs.replace(takes, shape=(1, 3, 6, 4))
    with pytest.raises(BundleError, match=r"takes \(1, 3, 6, 4\), but the preprocessing makes"):
        bundle.write(tmp_path / "b", **parts(tensors={"int8.tflite": ((turned,), gives)}))


def test_compiled_model_joins_the_one_that_it_was_made_of(tmp_path):
    plain = bundle.write(tmp_path / "a", **parts())
    joined = bundle.add_model(
        plain, "int8_edgetpu.tflite", b"compiled", tmp_path / "a", versions={"compiler": "16.0"}
    )
    assert Bundle.open(tmp_path / "a").variants == ("int8.tflite", "int8_edgetpu.tflite")
    assert joined.model("int8_edgetpu.tflite").read_bytes() == b"compiled"
    record, made_of = joined.record("int8_edgetpu.tflite"), joined.record("int8.tflite")
    assert (record.inputs, record.outputs) == (made_of.inputs, made_of.outputs)
    assert record.rounding == "edgetpu"
    golden = joined.golden().outputs
    assert np.array_equal(golden["int8_edgetpu.tflite"], golden["int8.tflite"])
    assert joined.manifest.versions == {"torch": "2.13.0", "compiler": "16.0"}
    assert joined.manifest.schema == 1
    assert joined.sha256 != plain.sha256


def test_compiled_model_needs_its_original(tmp_path):
    given = parts()
    outputs = {"fp32.tflite": given["golden"].outputs["int8.tflite"]}
    plain = bundle.write(
        tmp_path / "a",
        **parts(
            models={"fp32.tflite": b"model"},
            tensors={"fp32.tflite": given["tensors"]["int8.tflite"]},
            golden=Golden(given["golden"].frames, given["golden"].inputs, outputs),
        ),
    )
    with pytest.raises(BundleError, match=r"no variant 'int8.tflite'.*fp32.tflite"):
        bundle.add_model(plain, "int8_edgetpu.tflite", b"", tmp_path / "a", versions={})
