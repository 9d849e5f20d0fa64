"""The code of docs/mcu.md, compiled, linked and run on this machine.

The generated folder is as it is; the boards' own calls (camera, pins, HAL) have stand-ins in
``boards/``, which print the light and take frames from a file.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import frames
import numpy as np
import pytest

from edgenet import tflite
from edgenet.codegen import emit
from edgenet.codegen.program import program
from edgenet.int8 import build
from edgenet.runtime.reference import ReferenceSession
from edgenet.spec import Preprocess

pytest.importorskip("cv2", reason="OpenCV is not installed")
pytestmark = pytest.mark.tool("cc")
HERE = Path(__file__).parent
GUIDE = (HERE.parents[1] / "docs" / "mcu.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(cpp|c)\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
TINY = HERE.parent / "golden" / "tiny" / "models" / "int8.tflite"
INPUTS = TINY.parents[1] / "golden" / "inputs.npy"
LABELS = tuple("abcdef")
MARKS = {
    "Arduino": ("Arduino_OV767X.h", (144, 176)),
    "Pico": ("pico/stdlib.h", (240, 320)),
    "STM32": ("main.h", (240, 320)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("guide") / "flowers"
    made = program(TINY.read_bytes(), "flowers")
    emit.write(made, place, preprocess=Preprocess(16, 16), labels=LABELS)
    return place


@pytest.fixture(scope="module")
def objects(folder):
    """The folder, compiled once."""
    command = ["cc", "-std=c99", "-O1", "-fno-pie", *sorted(folder.glob("src/*.c")), "-c"]
    subprocess.run(command, cwd=folder, check=True)
    return sorted(folder.glob("*.o"))


def frame_of(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A small picture as a camera's frame: RGB565, the byte with red first."""
    factors = [want // have for want, have in zip(size, rgb.shape, strict=False)]
    red, green, blue = np.kron(rgb, np.ones((*factors, 1), np.uint8)).astype(int).transpose(2, 0, 1)
    word = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    return word.astype(">u2").view(np.uint8).reshape(*size, 2)


def classes(pictures: list[np.ndarray]) -> list[int]:
    """What the reference says of frames."""
    graph = build(tflite.read(TINY.read_bytes(), "it"))
    session = ReferenceSession(graph)
    found = []
    for pixels in pictures:
        codes = frames.Case("rgb565_swapped", pixels, Preprocess(16, 16)).expected
        values = session.values({graph.inputs[0].value: codes[np.newaxis, np.newaxis]})
        found.append(int(values[graph.outputs[0].value].ravel().argmax()))
    return found


@pytest.mark.parametrize("board", sorted(MARKS))
def test_the_light_of_the_guides_program_is_what_the_reference_says(
    board, folder, objects, tmp_path
):
    header, size = MARKS[board]
    ((language, code),) = [block for block in BLOCKS if header in block[1]]
    source = tmp_path / ("blink." + language)
    source.write_text(code)
    pictures = [frame_of(rgb, size) for rgb in np.load(INPUTS)]
    (tmp_path / "frames.bin").write_bytes(b"".join(one.tobytes() for one in pictures))
    compiler = ["g++"] if language == "cpp" else ["cc", "-std=c99"]
    flags = ["-Wall", "-Wextra", "-Werror", "-no-pie", "-fno-pie", f"-I{folder}/src"]
    command = [
        *compiler,
        *flags,
        f"-I{HERE / 'boards'}",
        source,
        *objects,
        "-o",
        tmp_path / "blink",
    ]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [tmp_path / "blink"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    lights = [line for line in done.stdout.splitlines() if line.startswith("light")]
    found = classes(pictures)
    assert set(found) == set(range(6))
    assert lights == [f"light {int(kind == 0)}" for kind in found]
    if board == "Arduino":
        assert [line for line in done.stdout.splitlines() if line in LABELS] == [
            LABELS[kind] for kind in found
        ]


def test_the_short_example_of_the_guide_compiles_as_it_stands(folder, tmp_path):
    ((_, code),) = [block for block in BLOCKS if "no such frame" in block[1]]
    (tmp_path / "look.c").write_text(code)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{folder}/src"]
    subprocess.run(["cc", *flags, "-c", "look.c"], cwd=tmp_path, check=True)


def test_every_c_block_of_the_guide_is_one_of_these():
    assert len(BLOCKS) == len(MARKS) + 1


def test_the_guide_names_what_the_folder_holds(folder):
    shown = GUIDE.partition("```\nflowers/\n")[2].partition("```")[0]
    listed = {
        word.rstrip("/") for line in shown.splitlines() for word in line.split("   ")[0].split()
    }
    assert listed == {path.name for path in folder.iterdir() if path.suffix != ".o"}
