"""Generated C on emulated boards: bit-exact there, and counted by two means that agree."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import layers
import nightly
import numpy as np
import pytest
from networks import random_network

from edgenet.board import emulated
from edgenet.codegen import emit, qemu
from edgenet.codegen.program import program
from edgenet.errors import TargetError, UsageError

pytest.importorskip("flatbuffers")
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.tool("arm-none-eabi-gcc"),
    pytest.mark.tool("qemu-system-arm"),
]
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"


def on_board(data: bytes, name: str, folder: Path):
    made = program(data, "net")
    emit.write(made, folder / "c")
    golden = made.golden(3)
    firmware = qemu.build(folder / "c", qemu.board(name), folder / name)
    return made, golden, firmware


@pytest.mark.parametrize("name", ["mps2-an385", "mps2-an386"])
def test_the_tiny_model_is_bit_exact_on(name, tmp_path):
    made, golden, firmware = on_board(TINY.read_bytes(), name, tmp_path)
    counted = qemu.run(firmware, golden.inputs[0])
    np.testing.assert_array_equal(counted.outputs, golden.outputs[0])
    assert counted.stack <= 1024
    assert firmware.ram == made.plan.size
    assert firmware.flash >= made.constant_bytes
    assert len(counted.layers) == len(made.layers)
    # the second picture's layers cost what the first picture's run did, but for the marks
    assert abs(sum(counted.layers) - counted.instructions) < 100 * (len(made.layers) + 1)
    by_clock = qemu.run(firmware, golden.inputs[0], plugin=False).instructions
    assert abs(by_clock - counted.instructions) <= 4 * emulated(firmware.board).tick
    again = qemu.run(firmware, golden.inputs[0])
    assert again.functions == counted.functions


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(qemu.BOARDS))
@pytest.mark.parametrize("seed", nightly.beyond(1, range(6)))
def test_random_networks_are_bit_exact_on(name, seed, tmp_path):
    network, y = random_network(np.random.default_rng(seed))
    _, golden, firmware = on_board(network.file(y), name, tmp_path)
    counted = qemu.run(firmware, golden.inputs[0])
    np.testing.assert_array_equal(counted.outputs, golden.outputs[0])


@pytest.mark.parametrize(
    "name",
    [
        "mps2-an386",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mps2-an385", "mps2-an500", "mps2-an505", "mps3-an547", "pico")
        ),
    ],
)
def test_kernels_equal_the_reference_on(name, tmp_path):
    """The driver of test_kernels on the board: 400 layers of random kinds and shapes."""
    board = qemu.board(name)
    rng = np.random.default_rng(7)
    cases = [case for case in (layers.random_case(rng) for _ in range(400)) if case is not None]
    records = [layers.record(c, c.lowered.calls[0], pointer=4) for c in cases]
    (tmp_path / "in.bin").write_bytes(b"".join(records))
    core = [*qemu.core_flags(board.core), "-std=c11", "-O2"]
    (tmp_path / "entry.c").write_text(
        "extern void initialise_monitor_handles(void);\n"
        "int driver_main(int argc, char **argv);\n"
        "void _init(void) {}\nvoid _fini(void) {}\n"
        "int main(void) { initialise_monitor_handles(); return driver_main(0, 0); }\n"
    )
    with resources.as_file(resources.files("edgenet.codegen") / "firmware") as firmware:
        compiler = ["arm-none-eabi-gcc", *core, f"-I{layers.SOURCES}", f"-I{firmware}"]
        driver = ["-Dmain=driver_main", "-c", str(layers.DRIVER), "-o", str(tmp_path / "driver.o")]
        subprocess.run([*compiler, *driver], check=True)
        files = [tmp_path / "driver.o", tmp_path / "entry.c", firmware / "start.c"]
        link = ["--specs=rdimon.specs", "-nostartfiles", f"-L{firmware}"]
        (tmp_path / "board.ld").write_text(qemu.link_script(board))
        link += [f"-T{tmp_path / 'board.ld'}", "-o", str(tmp_path / "elf")]
        sources = map(str, [*files, *sorted(layers.SOURCES.glob("*.c"))])
        subprocess.run([*compiler, *link, *sources], check=True)
    command = ["qemu-system-arm", "-M", emulated(board).machine, "-nographic", "-monitor", "none"]
    command += ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
    command += ["-kernel", "elf"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = np.fromfile(tmp_path / "out.bin", np.int8)
    expected = np.concatenate([case.expected.ravel() for case in cases])
    assert len(found) == len(expected)
    ends = np.cumsum([case.expected.size for case in cases])
    for case, got in zip(cases, np.split(found, ends[:-1]), strict=True):
        call = case.lowered.calls[0]
        np.testing.assert_array_equal(got, case.expected.ravel(), err_msg=str(call.fields))


def test_an_unknown_board_is_named_with_those_there_are():
    with pytest.raises(UsageError, match="did you mean 'mps2-an386'"):
        qemu.board("mps2-an38")


def test_a_folder_without_a_program_is_refused(tmp_path):
    with pytest.raises(TargetError, match="holds no generated program"):
        qemu.build(tmp_path, qemu.board("mps2-an386"), tmp_path / "build")


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    made = program(TINY.read_bytes(), "net")
    emit.write(made, tmp_path / "c")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TargetError, match="arm-none-eabi-gcc is not installed"):
        qemu.build(tmp_path / "c", qemu.board("mps2-an386"), tmp_path / "build")
