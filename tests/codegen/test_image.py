"""Frames turned into inputs in C: the same bytes as edgenet's own, for any size and kind."""

from __future__ import annotations

import struct
import subprocess
from importlib import resources

import frames
import layers
import numpy as np
import pytest
from frames import Case
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenet.codegen import qemu
from edgenet.spec import Preprocess

pytest.importorskip("cv2", reason="OpenCV is not installed")
pytestmark = pytest.mark.tool("cc")

SIDES = st.integers(1, 90)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return frames.Driver(tmp_path_factory.mktemp("image"))


def drawn(kind: str, size: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, frames.KINDS[kind]), dtype=np.uint8)


@settings(max_examples=150)
@given(
    kind=st.sampled_from(sorted(frames.KINDS)),
    size=st.tuples(SIDES, SIDES),
    output=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    fit=st.sampled_from(frames.FITS),
    channels=st.sampled_from([1, 3]),
    gap=st.integers(0, 5),
)
def test_any_frame_becomes_what_edgenet_makes_of_it(driver, kind, size, output, fit, channels, gap):
    case = Case(kind, drawn(kind, size, sum(size)), Preprocess(*output, fit), channels, gap=gap)
    case.check(driver.run(case.record))


@settings(max_examples=40)
@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 1)] * 3),
    scale=st.floats(0.002, 0.05),
    zero_point=st.integers(-128, 127),
    fit=st.sampled_from(frames.FITS),
)
def test_mean_and_std_are_in_the_codes(driver, mean, std, scale, zero_point, fit):
    preprocess = Preprocess(9, 13, fit, mean, std)
    case = Case("rgb888", drawn("rgb888", (20, 31), 1), preprocess, 3, scale, zero_point)
    case.check(driver.run(case.record))


@pytest.mark.parametrize("fit", frames.FITS)
@pytest.mark.parametrize("side", [96, 224])
@pytest.mark.parametrize("size", [(120, 160), (240, 320), (480, 640)])
def test_camera_frames_become_what_edgenet_makes_of_them(driver, size, side, fit):
    case = Case("rgb565_swapped", drawn("rgb565_swapped", size, 5), Preprocess(side, side, fit))
    case.check(driver.run(case.record))


@pytest.mark.parametrize("output", [256, 512, 768, 1024])
def test_halves_between_two_weights_fall_as_with_doubles(driver, output):
    """Where a size is a multiple of 256, weights lie halfway between two 256ths."""
    sides = [*range(1, 12), 49, 103, 107, 161, 197, 239, 255, 257, 301, 383, 449, 509]
    for side in sides:
        case = Case("grey", drawn("grey", (1, side), side), Preprocess(1, output))
        case.check(driver.run(case.record))


def test_boxes_of_more_than_256_pixels_are_averaged(driver):
    for size in [(17, 16 * 7), (2000, 5), (16, 3000), (700, 1100)]:
        case = Case("grey", drawn("grey", size, 3), Preprocess(1, 7))
        case.check(driver.run(case.record))
    white = Case("grey", np.full((800, 900, 1), 255, np.uint8), Preprocess(2, 2))
    white.check(driver.run(white.record))


def test_averages_by_multiplication_are_exact_for_every_sum():
    """What en_image.c does instead of dividing, for every box that it does it for."""
    for area in range(1, 257):
        sums = np.arange(255 * area + 1, dtype=np.uint64) + area // 2
        product = sums * np.uint64(-(-(2**24) // area))
        assert product.max() < 2**32
        np.testing.assert_array_equal(product >> np.uint64(24), sums // np.uint64(area))


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4), (32768, 4), (4, 32768), (32767, 32767)])
def test_a_frame_that_is_none_is_refused(driver, size):
    record = struct.pack("<6i", 3, 0, 2, 2, 3, 1) + b"\0"
    found = driver.run(record + struct.pack("<4i", *size, 4, 0))
    assert found == struct.pack("<i", -1) + b"\x55" * 12


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
@pytest.mark.parametrize("name", ["mps2-an385", pytest.param("mps2-an386", marks=pytest.mark.slow)])
def test_frames_become_the_same_on(name, tmp_path):
    """The driver on the board: frames of random kinds, sizes and ways to fit."""
    board = qemu.board(name)
    rng = np.random.default_rng(11)
    cases = []
    for number in range(60):
        kind = sorted(frames.KINDS)[number % 4]
        size, output = rng.integers(1, 70, 2), rng.integers(1, 30, 2)
        fit = frames.FITS[number % 3]
        mean = (0.5, 0.25, 0.125) if number % 5 == 0 else (0.0, 0.0, 0.0)
        preprocess = Preprocess(int(output[0]), int(output[1]), fit, mean)
        channels = 1 if number % 7 == 0 else 3
        cases.append(Case(kind, drawn(kind, tuple(size), number), preprocess, channels))
    (tmp_path / "in.bin").write_bytes(b"".join(case.record for case in cases))
    (tmp_path / "entry.c").write_text(
        "extern void initialise_monitor_handles(void);\n"
        "int driver_main(int argc, char **argv);\n"
        "void _init(void) {}\nvoid _fini(void) {}\n"
        "int main(void) { initialise_monitor_handles(); return driver_main(0, 0); }\n"
    )
    (tmp_path / "board.ld").write_text(qemu.link_script(board))
    compiler = ["arm-none-eabi-gcc", f"-mcpu={board.core}", "-mthumb", "-std=c99", "-O2"]
    with resources.as_file(resources.files("edgenet.codegen") / "firmware") as firmware:
        compiler += [f"-I{layers.SOURCES}", f"-I{firmware}"]
        driver = ["-Dmain=driver_main", "-c", str(frames.DRIVER), "-o", str(tmp_path / "driver.o")]
        subprocess.run([*compiler, *driver], check=True)
        files = [tmp_path / "driver.o", tmp_path / "entry.c", firmware / "start.c"]
        link = ["--specs=rdimon.specs", "-nostartfiles", f"-L{firmware}"]
        link += [f"-T{tmp_path / 'board.ld'}", "-o", str(tmp_path / "elf")]
        sources = map(str, [*files, *sorted(layers.SOURCES.glob("en_image*.c"))])
        subprocess.run([*compiler, *link, *sources], check=True)
    command = ["qemu-system-arm", "-M", name, "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", "elf"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = (tmp_path / "out.bin").read_bytes()
    for case in cases:
        size = 4 + case.expected.size
        case.check(found[:size])
        found = found[size:]
    assert found == b""
