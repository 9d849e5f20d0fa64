"""The mcu target: a bundle's model as C, proven on this machine and on emulated boards."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from edgenet import bundle as bundles
from edgenet import image, target
from edgenet.board import load as board
from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.codegen import qemu, tools
from edgenet.errors import ExportError, TargetError, UsageError
from edgenet.mcu import budget, make
from edgenet.mcu.device import Device
from edgenet.mcu.session import BoardSession
from edgenet.runtime.litert import LiteRT
from edgenet.spec import TensorSpec

TINY = Path(__file__).parent.parent / "golden" / "tiny"
MCU = target.load("mcu")
TIME = re.compile(r"\b(ms|milliseconds?|seconds?|fps)\b")

if MCU.missing():
    pytest.skip(f"mcu lacks {', '.join(MCU.missing())} here", allow_module_level=True)

qemu_tools = [
    pytest.mark.qemu,
    pytest.mark.tool("arm-none-eabi-gcc"),
    pytest.mark.tool("qemu-system-arm"),
]


def on(name, *marks):
    return pytest.param(name, marks=[*marks, *(qemu_tools if name != "host" else ())])


def run(*arguments):
    return CliRunner().invoke(main, [str(word) for word in arguments])


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """The golden bundle with labels that folders can be named after, and no C."""
    tiny = Bundle.open(TINY)
    golden, kept = tiny.golden(), ("fp32.tflite", "int8.tflite")
    return bundles.write(
        tmp_path_factory.mktemp("plain") / "tiny",
        name="Tiny 2",
        target="pc",
        spec=msgspec.structs.replace(tiny.spec, labels=tuple("abcdef")),
        models={v: tiny.model(v).read_bytes() for v in kept},
        tensors={v: (tiny.record(v).inputs, tiny.record(v).outputs) for v in kept},
        golden=dataclasses.replace(golden, outputs={v: golden.outputs[v] for v in kept}),
        calibration=None,
        drift=None,
        versions={},
        command="",
    )


@pytest.fixture(scope="session")
def made(plain, tmp_path_factory):
    """The same with its program."""
    place = tmp_path_factory.mktemp("made") / "tiny"
    result = run("bundle", plain.root, "--target", "mcu", "--board", "stm32f746", "-o", place)
    assert result.exit_code == 0, result.output
    assert re.search(r"C in .*/c: [\d,]+ bytes of RAM", result.output)
    assert re.search(
        r"the model (and its code fit|less its code fits) stm32f746: [\d,]+ of 1,048,576 bytes of"
        r" flash.*; [\d,]+ of 327,680 bytes of RAM, with its stack\n",
        result.output,
    )
    assert re.search(r"not in that: [\d,]+ bytes of flash of the selftest's pict", result.output)
    return Bundle.open(place)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """The golden frames, a folder for each class, as a data set."""
    place = tmp_path_factory.mktemp("data")
    for split in ("train", "val"):
        for label, frame in zip("abcdef", Bundle.open(TINY).golden().frames, strict=True):
            (place / split / label).mkdir(parents=True)
            cv2.imwrite(str(place / split / label / f"{split}.png"), frame[..., ::-1])
    return place


# the bundle


def test_the_manifest_says_what_the_program_takes(made):
    program = made.manifest.program
    assert program.name == "tiny_2"
    assert (program.board, program.rounding) == ("stm32f746", "gemmlowp-double")
    assert made.record("int8.tflite").rounding == "gemmlowp-double"
    assert made.manifest.target == "mcu"
    assert f"ARENA_BYTES {program.arena}u" in (made.root / "c/src/tiny_2.h").read_text()
    serial = {path.name for path in (made.root / "c/serial").iterdir()}
    assert serial == {"edgenet_serial.c", "edgenet_serial.h", "edgenet_model.h"}


def test_golden_outputs_are_those_of_tflms_arithmetic(made):
    session = LiteRT("reference").open(made.model("int8.tflite"))
    tensor = made.record("int8.tflite").inputs[0]
    for pixels, expected in zip(
        made.golden().inputs, made.golden().outputs["int8.tflite"], strict=True
    ):
        found = session.run([image.as_tensor(pixels, made.spec.preprocess, tensor)])[0]
        # LiteRT rounds FULLY_CONNECTED once
        assert np.max(np.abs(found[0].astype(int) - expected)) <= 1


def test_every_file_of_the_program_is_checked(made, tmp_path):
    copy = Path(shutil.copytree(made.root, tmp_path / "copy"))
    source = copy / "c" / "src" / "tiny_2.c"
    source.write_text(source.read_text().replace("return", "Return", 1))
    result = run("verify", copy)
    assert result.exit_code == 1
    assert "c/src/tiny_2.c: sha256 is" in result.output


def test_a_program_takes_the_place_of_the_one_before(made, tmp_path):
    again = make.add(made, tmp_path / "again", target="mcu").bundle
    assert again.manifest.program.board is None
    roles = set(made.manifest.files)
    assert set(again.manifest.files) == roles
    assert Bundle.open(again.root).sha256 == again.sha256


def test_what_does_not_fit_is_refused_before_anything_is_written(plain, tmp_path):
    small = tmp_path / "small.toml"
    small.write_text(
        'name = "small"\ntitle = "Small"\ncore = "cortex-m0plus"\nflash_bytes = 16_384\n'
        'ram_bytes = 2_048\n[source]\nflash_bytes = "https://example.org"\n'
        'ram_bytes = "https://example.org"\n'
    )
    result = run("bundle", plain.root, "--target", "mcu", "--board", small, "-o", tmp_path / "b")
    assert result.exit_code == 1
    assert re.search(
        r"the model does not fit small: RAM for all needs ([\d,]+) bytes, 2,048 are there;"
        r" let --sram-budget make the arena smaller",
        result.output,
    )
    assert re.search(r"RAM +arena, full at \S.* [\d,]+ +2,048\n", result.output)
    assert re.search(r"flash +weights and parameters +[\d,]+\n", result.output)
    assert re.search(r"flash +beside: the selftest's pictures, if called", result.output)
    assert not (tmp_path / "b").exists()


def own_board(place, *, flash=1_048_576, ram=262_144, more='counted_on = "mps2-an386"\n'):
    """The file of a board that edgenet does not ship."""
    place.write_text(
        f'name = "{place.stem}"\ntitle = "Mine"\ncore = "cortex-m4"\nflash_bytes = {flash}\n'
        f'ram_bytes = {ram}\n{more}[source]\nflash_bytes = "https://example.org"\n'
        'ram_bytes = "https://example.org"\n'
    )
    return place


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
def test_code_is_counted_before_it_is_said_that_a_model_fits(plain, made, tmp_path):
    place = own_board(tmp_path / "just.toml", flash=made.manifest.program.constants + 100)
    result = run("bundle", plain.root, "--target", "mcu", "--board", place, "-o", tmp_path / "b")
    assert result.exit_code == 1
    assert re.search(r"does not fit just: flash for all needs [\d,]+ bytes", result.output)
    assert re.search(r"flash +code +[\d,]+\n", result.output)
    assert not (tmp_path / "b").exists()


def test_code_that_is_not_counted_is_said_not_to_be(plain, tmp_path, monkeypatch):
    bundle = ("bundle", plain.root, "--target", "mcu", "--board")
    result = run(*bundle, "esp32s3", "-o", tmp_path / "esp")
    assert "the model less its code fits esp32s3: " in result.output
    assert "code is not counted: arm-none-eabi-gcc has no core xtensa-lx7" in result.output
    place = own_board(tmp_path / "bare.toml", more="")
    result = run(*bundle, place, "-o", tmp_path / "bare")
    assert "code is not counted: the file of bare has no counted_on" in result.output
    monkeypatch.setattr(shutil, "which", lambda name: None)
    result = run(*bundle, "nano33ble", "-o", tmp_path / "none")
    assert "less its code fits nano33ble" in result.output
    assert "code is not counted: arm-none-eabi-gcc is not installed" in result.output


def test_the_selftests_pictures_are_counted_to_the_byte(made, tmp_path):
    program = make.written_in(made)
    sources = (program.sources / f"{program.name}_golden.h").read_text()
    of_type = {"int8_t": 1, "uint32_t": 4}
    arrays = re.findall(r"static const (\w+) \w+((?:\[\d+\])+)", sources)
    sizes = [
        of_type[kind] * np.prod([int(n) for n in re.findall(r"\d+", dims)]) for kind, dims in arrays
    ]
    assert len(sizes) == 3
    assert budget.of_written(program).proof == sum(sizes)
    assert budget.of_program(make.generate(made)).proof == sum(sizes)


@pytest.mark.parametrize("name", ["pi4", "coral_usb", "coral_dev"])
def test_boards_of_other_targets_are_no_microcontrollers(plain, made, tmp_path, name):
    for words in (
        ("bundle", plain.root, "--target", "mcu", "-o", tmp_path / "b"),
        ("verify", made.root),
        ("profile", made.root),
        ("run", made.root, "--source", TINY),
    ):
        result = run(*words, "--board", name)
        assert result.exit_code == 2, result.output
        listed = result.output.partition("choose one of")[2]
        assert f"no board '{name}'" in result.output
        assert "pico2" in result.output
        assert not re.search("pi4|zero2w|coral_dev", listed)
    place = own_board(tmp_path / "mine.toml")
    place.write_text(place.read_text().replace("cortex-m4", "cortex-a72"))
    result = run("verify", made.root, "--board", place)
    assert result.exit_code == 2
    assert "mine.toml has a cortex-a72, which is no microcontroller; choose" in result.output


def test_one_may_say_the_budget_with_its_unit(plain, tmp_path):
    bundle = ("bundle", plain.root, "--target", "mcu", "-o", tmp_path / "b", "--sram-budget")
    for words, expected in (("2KB", 2048), ("2K", 2048), ("1500", 1500)):
        result = run(*bundle, words)
        assert result.exit_code == 0, result.output
        assert Bundle.open(tmp_path / "b").manifest.program.sram_budget == expected
    result = run(*bundle, "2 potatoes")
    assert result.exit_code == 2
    assert "'2 potatoes' is not a size; write a number above 0 with its unit" in result.output
    result = run(*bundle, "10")  # refused with the code of a board that is too small
    assert result.exit_code == 1
    assert re.search(r"[\d,]+ bytes", result.output)


def test_preprocessing_that_is_left_out_is_said(plain, tmp_path):
    bundle = ("bundle", plain.root, "--target", "mcu", "-o", tmp_path / "b")
    assert "no C turns frames" not in run(*bundle).output
    header = tmp_path / "b" / "c" / "src" / "tiny_2_image.h"
    assert header.is_file()
    least = make.program(plain.model("int8.tflite").read_bytes(), "least").plan.size
    result = run(*bundle, "--sram-budget", least)
    said = re.search(r"no C turns frames into the model's input: .* of ([\d,]+) byt", result.output)
    assert said, result.output
    assert not header.exists()
    assert run(*bundle, "--sram-budget", said[1].replace(",", "")).exit_code == 0
    assert header.is_file()


def test_what_no_c_is_made_of_is_refused_before_it_is_run(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("edgenet.foreign.make", None)
    model, labels = plain.model("fp32.tflite"), tmp_path / "labels.txt"
    labels.write_text("\n".join("abcdef"))
    words = ("--labels", labels, "--preprocess", "tf", "--target", "mcu", "-o", tmp_path / "b")
    result = run("bundle", model, *words)
    assert result.exit_code == 1
    assert str(model) in result.output
    assert "float32" in result.output
    assert "edgenet-export-" not in result.output


def commands(output):
    """The commands that are printed after Next, but for those that need what is not here."""
    lines = output.partition("Next:\n")[2].splitlines()
    found = [line.split("  counts")[0].split()[1:] for line in lines if "edgenet " in line]
    return [one for one in found if not {"--port", "--data"} & set(one)]


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
@pytest.mark.parametrize(
    "name",
    ["own.toml", *(pytest.param(name, marks=pytest.mark.slow) for name in ("esp32s3", None))],
)
def test_the_commands_that_are_printed_work(plain, tmp_path, name):
    board = own_board(tmp_path / name) if name == "own.toml" else name
    options = ("--board", board) if board else ()
    words = ("bundle", plain.root, "--target", "mcu", "-o", tmp_path / "b", *options)
    result = run(*words)
    assert result.exit_code == 0, result.output
    (tmp_path / "own.toml").unlink(missing_ok=True)
    found = commands(result.output)
    assert {one[0] for one in found} == {"verify", "profile"}
    for one in found:
        done = run(*one)
        assert done.exit_code == 0, (one, done.output)
    if name == "own.toml":
        assert "on own (cortex-m4), QEMU's mps2-an386" in done.output
        again = run("verify", tmp_path / "b", "--board", "own")
        assert "C on QEMU's mps2-an386 for own computes what" in again.output
        assert Bundle.open(tmp_path / "b").manifest.program.own_board.ram_bytes == 262_144


def test_a_board_that_ships_is_not_kept_twice(made):
    assert made.manifest.program.own_board is None


def test_what_does_not_fit_with_its_code_is_refused_once_built():
    needs = budget.Budget(constants=1000, arena=500, fullest="CONV_2D 0", code=2_097_152)
    with pytest.raises(ExportError, match=r"flash for all needs 2,098,152 bytes, 2,097,152 are"):
        needs.check(board("pico"))
    one_piece = dataclasses.replace(needs, arena=600_000, code=0)
    with pytest.raises(ExportError, match=r"RAM for arena needs 600,000 bytes, 524,288 are there"):
        one_piece.check(board("stm32h743"))


def test_other_targets_have_no_boards(plain, tmp_path):
    words = "pc has no choice of boards; leave --board"
    for command in ("verify", "profile"):
        assert words in run(command, plain.root, "--board", "host").output
    assert words in run("run", plain.root, "--source", TINY, "--board", "host").output
    assert (
        "pc makes nothing of one" in run("bundle", plain.root, "--target", "pc", "-o", "x").output
    )
    result = run("bundle", plain.root, "--target", "mcu", "--board", "pcio", "-o", tmp_path / "b")
    assert result.exit_code == 2
    assert "no board 'pcio'; did you mean 'pico'" in result.output


# the four commands


@pytest.mark.parametrize("name", [on("host"), on("mps2-an386"), on("pico", pytest.mark.slow)])
def test_verify_holds_golden_frames_and_every_layer(made, name):
    result = run("verify", made.root, "--board", name, "--json")
    assert result.exit_code == 0, result.output
    checks = {(c["stage"], c["variant"]): c for c in json.loads(result.stdout)["checks"]}
    assert checks["logits", "int8.tflite"]["status"] == "equal"
    assert checks["selftest", "int8.tflite"]["status"] == "equal"
    places = {"host": "C on this machine,", "pico": "C on QEMU's mps2-an385 for pico,"}
    expected = places.get(name, "C on QEMU's mps2-an386,")
    assert checks["logits", "int8.tflite"]["detail"].startswith(expected)


@pytest.mark.parametrize("name", [on("host"), on("mps2-an386", pytest.mark.slow)])
def test_verify_finds_a_weight_that_is_wrong(made, monkeypatch, tmp_path, name):
    copy = Path(shutil.copytree(made.root / "c", tmp_path / "c"))
    weights = copy / "src" / "tiny_2_weights.c"
    damaged, count = re.subn(r"-?\d+(?=,)", "99", weights.read_text())
    assert count
    weights.write_text(damaged)
    monkeypatch.setattr(make, "written_in", lambda bundle: make.written.read(copy))
    result = run("verify", made.root, "--board", name, "--json")
    assert result.exit_code == 1
    checks = {c["stage"]: c for c in json.loads(result.stdout.partition("\nError")[0])["checks"]}
    assert checks["selftest"]["status"] == "differs"
    assert "layer 1 of its own picture 1" in checks["selftest"]["detail"]


@pytest.mark.parametrize("name", [on("host"), on("mps2-an386")])
def test_run_predicts_what_the_reference_does(made, pictures, name):
    options = ("--source", pictures / "val" / "d", "--board", name, "--json", "--top-k", "6")
    result = run("run", made.root, *options)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    found = {guess["label"]: guess["probability"] for guess in json.loads(line)["top"]}
    record = made.record("int8.tflite").outputs[0]
    codes = made.golden().outputs["int8.tflite"][3].astype(float)
    logits = (codes - record.zero_point[0]) * record.scale[0]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert [found[label] for label in "abcdef"] == pytest.approx(expected, abs=1e-4)
    counted = re.search(r"takes ([\d,]+) instructions, counted in QEMU", result.stderr)
    assert bool(counted) == (name != "host")
    assert bool(json.loads(line)["stage_ms"]) == (name == "host")


@pytest.mark.parametrize("name", [on("host"), on("mps2-an386")])
@pytest.mark.parametrize("source", ["folder", "fake"])
def test_run_states_no_time_of_an_emulator(made, pictures, name, source):
    place = pictures / "val" / "d" if source == "folder" else source
    result = run("run", made.root, "--source", place, "--board", name, "--max-frames", 1)
    assert result.exit_code == 0, result.output
    assert bool(TIME.search(result.output)) == (name == "host")
    assert "with int8.tflite" in result.output


def test_evaluate_answers_in_the_devices_arithmetic(made, pictures):
    options = ("--board", "host", "--json", "--limit", "agreement=0")
    result = run("evaluate", made.root, "--data", pictures, *options)
    assert result.exit_code in (0, 3), result.output
    report = json.loads(result.stdout)
    assert [one["variant"] for one in report["results"]] == ["fp32.tflite", "int8.tflite"]
    assert report["results"][1]["engine"].startswith("C on this machine, cc")
    codes = made.golden().outputs["int8.tflite"]
    right = int(np.sum(codes.argmax(axis=1) == np.arange(6)))
    assert report["results"][1]["top1"]["count"] == right


@pytest.mark.parametrize("name", [on("mps2-an386"), on("stm32f746", pytest.mark.slow)])
def test_profile_counts_instructions_by_layer(made, name):
    found = json.loads(run("profile", made.root, "--board", name, "--json").stdout)
    assert (found["unit"], found["counter"]) == ("instructions", "plugin")
    assert found["total"] > 10_000
    # the marks between layers are some instructions themselves
    counts = [layer["count"] for layer in found["layers"]]
    assert abs(sum(counts) - found["total"]) < 100 * len(counts)
    assert found["ram"] == made.manifest.program.arena
    assert found["flash"] > made.manifest.program.constants
    assert found["stack"] <= 1024


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_profile_speaks_of_instructions_and_never_of_time(made, tmp_path):
    files = tmp_path / "counts.csv", tmp_path / "counts.html"
    board = ("--board", "mps2-an386")
    text = run("profile", made.root, *board, "--csv", files[0], "--html", files[1]).stdout
    assert "instructions an inference" in text
    page = files[1].read_text()
    for words in (text, files[0].read_text(), page[page.index("<body>") :]):
        assert "instructions" in words
        assert not TIME.search(words)


def test_profile_refuses_what_is_about_time_and_what_does_not_count(made):
    result = run("profile", made.root, "--num-runs", "3")
    assert (result.exit_code, "counts and takes no times; drop --num-runs" in result.output) == (
        2,
        True,
    )
    result = run("profile", made.root, "--board", "host")
    assert result.exit_code == 2
    assert "no instructions are counted on board host" in result.output


# what is missing


def test_a_missing_compiler_or_emulator_is_named_with_its_package(made, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    words = {"mps2-an386": "qemu-system-arm", "host": "build-essential"}
    for name, package in words.items():
        result = run("verify", made.root, "--board", name)
        assert result.exit_code == 1
        assert f"is not installed; run: sudo apt install {package}" in result.output
    assert tools.lacking_engine() == tools.lacking("cc")


def test_only_the_int8_model_runs_on_a_board(made):
    with pytest.raises(TargetError, match=r"mcu runs int8\.tflite, not fp32\.tflite"):
        MCU.runner(made, variant="fp32.tflite")


def test_a_core_of_another_kind_is_sent_to_its_own_compiler(made):
    device = Device(made, board("esp32s3"))
    with pytest.raises(UsageError, match="has no core xtensa-lx7; build the generated folder"):
        device.prepare()
    device.close()


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_systick_counts_where_the_plugin_does_not_load(made, tmp_path):
    firmware = qemu.build(made.root / "c", board("mps2-an386"), tmp_path)
    picture = np.zeros((1, firmware.inputs), np.int8)
    exact = qemu.run(firmware, picture).instructions
    (tmp_path / "libcount.so").write_bytes(b"no library")
    qemu._takes_plugin.cache_clear()
    counted = qemu.run(firmware, picture)
    assert counted.layers == ()
    assert abs(counted.instructions - exact) <= 160


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_a_plugin_that_does_not_compile_and_blanks_in_paths_do_no_harm(made, tmp_path, monkeypatch):
    place = tmp_path / "with blanks"
    monkeypatch.setattr(qemu, "HOST_COMPILER", "false")
    firmware = qemu.build(made.root / "c", board("mps2-an386"), place)
    assert firmware.flash > made.manifest.program.constants
    counted = qemu.run(firmware, np.zeros((1, firmware.inputs), np.int8))
    assert counted.layers == ()
    assert counted.instructions > 1000


# types of the model's ends


class Ends:
    """A program's header."""

    def number(self, macro):
        return {"IN_SCALE": 0.5, "IN_ZERO_POINT": 3, "OUT_SCALE": 0.25, "OUT_ZERO_POINT": -4}[macro]


@pytest.mark.parametrize(
    ("dtype", "given", "codes", "gives"),
    [
        ("int8", [-128, 5, 127], [-128, 5, 127], [-128, 5, 127]),
        ("uint8", [0, 128, 255], [-128, 0, 127], [0, 128, 255]),
        ("float32", [-0.75, 0.25, 500.0], [1, 4, 127], [1.25, 2.0, 32.75]),
    ],
)
def test_ends_of_every_type_are_those_of_the_tflite(dtype, given, codes, gives):
    spec = TensorSpec("end", (1, 3), dtype)
    record = Bundle.open(TINY).record("int8.tflite")
    record = msgspec.structs.replace(record, inputs=(spec,), outputs=(spec,))
    seen = []
    session = BoardSession(record, Ends(), lambda rows: seen.append(rows) or rows, engine="")
    (found,) = session.run([np.array([given], dtype)])
    assert seen[0].tolist() == [codes]
    assert found.dtype == dtype
    assert found.tolist() == [gives]
