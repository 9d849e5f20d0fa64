from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgenet import runtime, target
from edgenet.bundle import Bundle
from edgenet.errors import MissingPackage, TargetError, UsageError

TINY = Bundle.open(Path(__file__).parent / "golden" / "tiny")
TOML = """
name = "kettle"
title = "A kettle with a camera"
backends = ["litert"]
variants = ["fp32.tflite", "int8.tflite"]
[requires]
extra = "rpi"
"""
RUNNER = """
from .answer import Answer

def runner(target, bundle, *, variant="int8.tflite"):
    return Answer(target.name, variant)
"""
ANSWER = """
class Answer:
    def __init__(self, name, variant):
        self.words = f"{name} runs {variant}"
"""


@pytest.fixture
def kettle(tmp_path):
    """A target's folder outside of edgenet."""
    folder = tmp_path / "kettle"
    folder.mkdir()
    (folder / "target.toml").write_text(TOML)
    (folder / "runner.py").write_text(RUNNER)
    (folder / "answer.py").write_text(ANSWER)
    return folder


def edit(folder, old, new):
    path = folder / "target.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


# finding


def test_shipped_targets_are_found_by_their_files():
    assert {"pc", "rpi"} <= set(target.names())
    assert target.names() == sorted(target.names())


def test_shipped_target_loads_by_name():
    rpi = target.load("rpi")
    assert rpi.name == "rpi"
    assert rpi.title.startswith("Raspberry Pi")
    assert rpi.variants == ("int8.tflite", "fp32.tflite")
    assert rpi.limits["top1_drop"] > 0


def test_unknown_target_is_refused_with_the_nearest():
    with pytest.raises(
        UsageError, match=r"no target 'rip'; did you mean 'rpi'\? \(.*\); a target's"
    ):
        target.load("rip")


def test_folder_anywhere_is_a_target(kettle):
    loaded = target.load(str(kettle))
    assert (loaded.name, loaded.limits) == ("kettle", {})
    assert loaded.runner(TINY).words == "kettle runs int8.tflite"


def test_folder_is_found_by_a_relative_path(kettle, monkeypatch):
    monkeypatch.chdir(kettle)
    assert target.load(".").name == "kettle"


def test_two_folders_of_one_name_keep_their_own_runners(kettle, tmp_path):
    other = shutil.copytree(kettle, tmp_path / "elsewhere" / "kettle")
    (other / "answer.py").write_text(ANSWER.replace("runs", "boils with"))
    words = [target.load(str(folder)).runner(TINY).words for folder in (kettle, other)]
    assert words == ["kettle runs int8.tflite", "kettle boils with int8.tflite"]


# malformed folders


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "kettle"', "name = ", r"target\.toml: .*invalid value"),
        ('name = "kettle"', "name = 3", r"target\.toml: expected `str`, got `int` - at `\$\.name`"),
        ('title = "A kettle with a camera"', "", r"missing required field `title`"),
        ('title = "A', 'tittle = "B"\ntitle = "A', r"unknown field `tittle`"),
        ('["litert"]', '["litert", "liter"]', r"no backend 'liter'; did you mean 'litert'"),
        ('["litert"]', "[]", r"backends and variants need at least one name each"),
        ('"fp32.tflite", ', '"fp16.tflite", ', r"invalid enum value 'fp16\.tflite'"),
        ('name = "kettle"', 'name = "pot"', r"name is 'pot', the folder's is 'kettle'"),
        (
            'extra = "rpi"',
            'extra = "rpi"\n[limits]\ntop1_drop = "1"',
            r"expected `float`, got `str`",
        ),
        ('extra = "rpi"', "", r"missing required field `extra` - at `\$\.requires`"),
    ],
)
def test_malformed_description_is_refused_with_its_place(kettle, old, new, message):
    edit(kettle, old, new)
    with pytest.raises(TargetError, match=message):
        target.load(str(kettle))


def test_description_that_is_not_utf8_is_refused(kettle):
    (kettle / "target.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(TargetError, match=r"target\.toml: "):
        target.load(str(kettle))


def test_folder_without_description_is_no_target(tmp_path):
    with pytest.raises(TargetError, match=r"has no target\.toml, so it is not a target"):
        target.load(str(tmp_path))


def test_target_without_runner_is_refused_when_it_is_run(kettle):
    (kettle / "runner.py").unlink()
    with pytest.raises(TargetError, match=r"has no runner\.py, so the target cannot be run"):
        target.load(str(kettle)).runner(TINY)


def test_runner_of_another_name_is_refused(kettle):
    (kettle / "runner.py").write_text("def run(): ...")
    with pytest.raises(TargetError, match=r"defines no function runner\(target, bundle, \*\*opt"):
        target.load(str(kettle)).runner(TINY)


def test_option_that_the_runner_does_not_take_is_named(kettle):
    with pytest.raises(TargetError, match=r"kettle's runner cannot be opened: .*'threads'"):
        target.load(str(kettle)).runner(TINY, threads=2)


# what is missing


def test_what_is_missing_is_named_as_the_description_has_it(kettle):
    edit(
        kettle,
        'extra = "rpi"',
        'extra = "rpi"\n'
        'packages = ["numpy", "no_such|nor_this", "no_such|numpy"]\n'
        'tools = ["sh", "no-such-tool", "no-such-tool|sh"]',
    )
    assert target.load(str(kettle)).missing() == ["no_such|nor_this", "no-such-tool"]


# choosing a variant


@pytest.fixture
def engines(monkeypatch):
    """Pretend that both engines are installed."""
    for name in runtime.NAMES:
        monkeypatch.setitem(runtime._ENGINES, name, lambda: (None, "any version"))


@pytest.mark.usefixtures("engines")
def test_first_of_the_targets_variants_is_chosen(kettle):
    assert target.load(str(kettle)).choose(TINY) == "fp32.tflite"
    assert target.load("pc").choose(TINY) == "int8.tflite"


@pytest.mark.usefixtures("engines")
def test_variant_that_no_engine_here_can_run_is_passed_over(monkeypatch):
    def missing():
        raise MissingPackage("LiteRT", "litert", needed_for="running a .tflite model")

    monkeypatch.setitem(runtime._ENGINES, "litert", missing)
    assert target.load("pc").choose(TINY) == "int8.onnx"
    with pytest.raises(MissingPackage, match="needs LiteRT"):
        target.load("rpi").choose(TINY)


def test_bundle_without_any_of_the_targets_variants_is_refused(kettle):
    edit(kettle, '"fp32.tflite", "int8.tflite"', '"int8.onnx"')
    only_tflite = Bundle(
        TINY.root,
        type(TINY.manifest)(
            **{field: getattr(TINY.manifest, field) for field in TINY.manifest.__struct_fields__}
            | {"models": {"int8.tflite": TINY.record("int8.tflite")}}
        ),
    )
    with pytest.raises(
        TargetError,
        match=r"holds int8\.tflite, but kettle runs int8\.onnx; run: edgenet export --tar",
    ):
        target.load(str(kettle)).choose(only_tflite)


def test_rpi_refuses_a_variant_that_is_not_its_own():
    with pytest.raises(TargetError, match=r"rpi runs int8\.tflite.*fp32\.tflite, not int8\.onnx"):
        target.load("rpi").runner(TINY, variant="int8.onnx")


# what is asked for


def test_target_takes_int8_alone_unless_it_says_more(kettle):
    with pytest.raises(
        UsageError, match="target kettle runs int8, not float16; choose among those, or name anot"
    ):
        target.load(str(kettle)).to_export(("float16",))
    edit(kettle, "[requires]", 'quantize = ["float16", "none"]\n[requires]')
    assert target.load(str(kettle)).to_export(("float16",)) == ("fp32.tflite", "float16.tflite")


def test_bundle_holds_what_was_asked_for_beside_float32():
    pc, rpi = target.load("pc"), target.load("rpi")
    assert pc.to_export() == pc.variants
    assert pc.to_export(("int8",)) == pc.variants
    assert pc.to_export(("none",)) == ("fp32.tflite", "fp32.onnx")
    assert rpi.to_export(("int16x8", "int8")) == ("int8.tflite", "fp32.tflite", "int16x8.tflite")
    assert target.load("coral").to_export(("int8",)) == target.load("coral").variants


def test_what_was_asked_for_is_preferred_to_float32_unless_the_target_does_not(kettle):
    pc = target.load("pc").runnable
    assert pc[:2] == ("int8.tflite", "float16.tflite")
    assert pc.index("int16x8.tflite") < pc.index("fp32.tflite")
    edit(kettle, "[requires]", 'quantize = ["float16"]\n[requires]')
    assert target.load(str(kettle)).runnable == ("fp32.tflite", "int8.tflite", "float16.tflite")


def test_unknown_quantization_is_refused_with_its_place(kettle):
    edit(kettle, "[requires]", 'quantize = ["int4"]\n[requires]')
    with pytest.raises(TargetError, match=r"target\.toml: invalid enum value 'int4'.*quantize"):
        target.load(str(kettle))
