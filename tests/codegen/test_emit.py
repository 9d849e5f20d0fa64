"""What stands in a generated folder beside the network: frames, facts, labels, sections."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import frames
import numpy as np
import pytest
from compilers import COMPILERS, STRICT
from frames import Case
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network

from edgenet.codegen import emit
from edgenet.codegen.picture import refusal
from edgenet.codegen.program import program
from edgenet.errors import UsageError
from edgenet.spec import Preprocess

pytest.importorskip("cv2", reason="OpenCV is not installed")
pytest.importorskip("flatbuffers")
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"
LABELS = ("cat", 'a "dog"', "rosé??!", "back\\slash", "", "tab\t")


def written(folder: Path, preprocess: Preprocess, name: str = "net"):
    made = program(TINY.read_bytes(), name)
    emit.write(made, folder, preprocess=preprocess, labels=LABELS)
    return made


class Loaded:
    """A folder's frames and facts, on this machine, with guards around the arena."""

    GUARD = 256

    def __init__(self, folder: Path, work: Path, name: str = "net") -> None:
        library = work / f"{name}.so"
        sources = sorted(folder.glob("src/*.c"))
        command = ["cc", *STRICT, "-O1", "-shared", "-fPIC", *sources, "-o", library]
        subprocess.run(command, check=True)
        self.library = ctypes.CDLL(str(library))
        header = (folder / "src" / f"{name}.h").read_text()
        self.arena_bytes = int(header.partition("_ARENA_BYTES ")[2].partition("u")[0])

    def image(self, case: Case, name: str = "net") -> np.ndarray:
        memory = np.full(self.arena_bytes + 2 * self.GUARD + 16, 0x55, np.int8)
        start = self.GUARD + -(memory.ctypes.data + self.GUARD) % 16
        arena = ctypes.c_void_p(memory.ctypes.data + start)
        height, width, size = case.pixels.shape
        fill = getattr(self.library, f"{name}_image_{case.kind}")
        assert fill(arena, case.frame, width, height, width * size + case.gap) == 0
        assert set(memory[:start]) == set(memory[start + self.arena_bytes :]) == {0x55}
        place = getattr(self.library, f"{name}_input")
        place.restype = ctypes.c_void_p
        begin = place(arena) - memory.ctypes.data
        return memory[begin : begin + case.expected.size].reshape(case.expected.shape)


@pytest.fixture(scope="module", params=["stretch", "center-crop", "letterbox"])
def loaded(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("emit")
    preprocess = Preprocess(16, 16, request.param)
    made = written(folder / "c", preprocess)
    value = made.graph.values[made.graph.inputs[0].value]
    return Loaded(folder / "c", folder), preprocess, value


@pytest.mark.tool("cc")
@settings(max_examples=30)
@given(
    kind=st.sampled_from(sorted(frames.KINDS)),
    size=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    gap=st.integers(0, 3),
)
def test_frames_become_the_models_input_within_the_arena(loaded, kind, size, gap):
    library, preprocess, value = loaded
    rng = np.random.default_rng(size)
    pixels = rng.integers(0, 256, (*size, frames.KINDS[kind]), dtype=np.uint8)
    case = Case(kind, pixels, preprocess, 3, value.scale, value.zero_point, gap)
    np.testing.assert_array_equal(library.image(case), case.expected)


@pytest.mark.tool("cc")
def test_a_row_that_is_longer_than_its_stride_is_refused(loaded):
    library, _, _ = loaded
    arena = (ctypes.c_int8 * (library.arena_bytes + 16))()
    for name, size in frames.KINDS.items():
        fill = getattr(library.library, f"net_image_{name}")
        assert fill(arena, b"\0" * 64, 4, 2, 4 * size - 1) == -1


@pytest.mark.tool("cc")
def test_mean_and_std_and_grey_are_in_the_emitted_codes(tmp_path):
    preprocess = Preprocess(12, 12, "stretch", (0.5,) * 3, (0.25,) * 3)
    drawn = Network(np.random.default_rng(4), size=12, channels=1)
    y = drawn.fully_connected(drawn.conv(drawn.input, 4), 3, dead=False)
    made = program(drawn.file(y), "net")
    emit.write(made, tmp_path / "c", preprocess=preprocess)
    value = made.graph.values[made.graph.inputs[0].value]
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    case = Case("rgb888", pixels, preprocess, 1, value.scale, value.zero_point)
    library = Loaded(tmp_path / "c", tmp_path)
    np.testing.assert_array_equal(library.image(case), case.expected)


@pytest.mark.tool("cc")
def test_a_program_knows_what_it_is_and_its_labels(tmp_path):
    made = written(tmp_path / "c", Preprocess(16, 16))
    (tmp_path / "main.c").write_text(
        '#include "net.h"\n#include <stdio.h>\nint main(void) {\n'
        "const edgenet_info *i = &net_info;\n"
        'printf("%s %s %u %u %u\\n", i->name, i->digest, i->arena_bytes, i->macs, i->outputs);\n'
        'for (uint32_t n = 0; n < i->outputs; n++) printf("%s\\n", i->labels[n]);\n'
        "return 0; }\n"
    )
    sources = [tmp_path / "main.c", *(tmp_path / "c" / "src").glob("*.c")]
    command = ["cc", *STRICT, f"-I{tmp_path}/c/src", *sources, "-o", tmp_path / "main"]
    subprocess.run(command, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    facts, *labels = done.stdout.decode().split("\n")
    arena = Loaded(tmp_path / "c", tmp_path).arena_bytes
    assert facts == f"net {made.digest} {arena} {made.macs} {len(LABELS)}"
    assert tuple(labels[:-1]) == LABELS


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_is_content_with_frames_facts_and_example(compiler, tmp_path):
    written(tmp_path, Preprocess(16, 16, mean=(0.5,) * 3))
    sources = [
        *(tmp_path / "src").glob("*image*.c"),
        *(tmp_path / "src" / file for file in ("net.c", "net_info.c", "net_selftest.c")),
        tmp_path / "examples" / "main.c",
    ]
    hooks = ['-DEDGENET_ARENA_ATTR=__attribute__((section("dtcm")))']
    command = [*compiler, "-O2", f"-I{tmp_path}/src", *hooks, "-c", *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[:2000]
    assert not done.stderr


@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.parametrize("core", ["m4", pytest.param("m55", marks=pytest.mark.slow)])
def test_kernels_constants_and_arena_go_where_they_are_told(core, tmp_path):
    """All that a run calls is in .fast, all that it reads in .flash2; nothing stays behind."""
    written(tmp_path, Preprocess(16, 16))
    flags = ['-DEDGENET_HOT=".fast"', '-DEDGENET_CONST=__attribute__((section(".flash2")))']
    command = ["arm-none-eabi-gcc", f"-mcpu=cortex-{core}", "-mthumb", *STRICT, "-O2", *flags]
    sources = sorted((tmp_path / "src").glob("*.c"))
    subprocess.run([*command, "-c", *sources], cwd=tmp_path, check=True)
    cold = ("net_en_crc32", "net_en_image")
    fast = 0
    for path in tmp_path.glob("net_*.o"):
        dump = ["arm-none-eabi-objdump", "-h", path]
        lines = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
        words = [line.split() for line in lines.splitlines()]
        sizes = {w[1]: int(w[2], 16) for w in words if len(w) == 7 and w[0].isdigit()}
        text = sum(size for name, size in sizes.items() if name.startswith(".text"))
        if path.name.startswith("net_en_"):
            assert (text > 0) == path.name.startswith(cold), path.name
            fast += sizes.get(".fast", 0)
        if path.name == "net_weights.o":
            assert sizes[".flash2"] > 0
            assert sizes.get(".rodata", 0) == 0
    assert fast > 2000


@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.parametrize("core", ["m0plus", "m4"])
def test_the_stack_of_frames_is_what_the_header_says(core, tmp_path):
    """Every function's frame added up bounds any path through them: none calls itself."""
    written(tmp_path, Preprocess(16, 16))
    sources = [*(tmp_path / "src").glob("*image*.c")]
    command = ["arm-none-eabi-gcc", f"-mcpu=cortex-{core}", "-mthumb", "-std=c99", "-O2"]
    subprocess.run([*command, "-fstack-usage", "-c", *sources], cwd=tmp_path, check=True)
    shared, kinds = 0, []
    for path in tmp_path.glob("*.su"):
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        assert {row[2] for row in rows} == {"static"}
        total = sum(int(row[1]) for row in rows)
        if path.stem in ("net_en_image", "net_image"):
            shared += total
        else:
            kinds.append(total)
    header = (tmp_path / "src" / "net_image.h").read_text()
    stated = int(header.partition("_IMAGE_STACK_BYTES ")[2].partition("u")[0])
    assert shared + max(kinds) <= stated


@pytest.mark.tool("cc")
def test_two_models_with_frames_link_into_one_program(tmp_path):
    for name in ("one", "two"):
        written(tmp_path / name, Preprocess(16, 16), name)
    (tmp_path / "main.c").write_text(
        '#include "one/src/one_image.h"\n#include "two/src/two_image.h"\n'
        "ONE_ARENA(a);\nTWO_ARENA(b);\n"
        "static const edgenet_info *const all[] = {&one_info, &two_info};\n"
        "static const uint8_t frame[400] = {1};\n"
        "int main(void) {\n"
        "    if (one_image_grey(a, frame, 20, 20, 20) || two_image_grey(b, frame, 20, 20, 20))\n"
        "        return 1;\n"
        "    return one_selftest(a) || two_selftest(b) || all[0]->macs != all[1]->macs; }\n"
    )
    sources = [*sorted(tmp_path.glob("*/src/*.c")), tmp_path / "main.c"]
    command = ["cc", *STRICT, "-O1", *sources, "-o", tmp_path / "both"]
    subprocess.run(command, check=True)
    assert subprocess.run([tmp_path / "both"], check=False).returncode == 0


def test_the_same_model_gives_the_same_folder(tmp_path):
    contents = []
    for name in ("a", "b"):
        written(tmp_path / name, Preprocess(16, 16))
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 40


def test_without_preprocessing_there_are_no_frames(tmp_path):
    emit.write(program(TINY.read_bytes(), "net"), tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*image*"))
    assert "image" not in (tmp_path / "c" / "README.md").read_text()


@pytest.mark.parametrize(
    ("preprocess", "why"),
    [
        (Preprocess(16, 17), "a picture is (1, 16, 17, 3) or (1, 16, 17, 1)"),
        (Preprocess(224, 224), "a picture is (1, 224, 224, 3)"),
    ],
)
def test_a_model_whose_input_is_no_such_picture_is_refused_in_a_sentence(preprocess, why, tmp_path):
    made = program(TINY.read_bytes(), "net")
    assert why in refusal(made.graph, preprocess)
    with pytest.raises(UsageError, match="cannot have its preprocessing in C"):
        emit.write(made, tmp_path / "c", preprocess=preprocess)
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_not_as_many_as_outputs_are_refused(tmp_path):
    made = program(TINY.read_bytes(), "net")
    with pytest.raises(UsageError, match="net has 6 outputs and 2 labels; give one for each"):
        emit.write(made, tmp_path / "c", labels=["a", "b"])
    assert list(tmp_path.iterdir()) == []
