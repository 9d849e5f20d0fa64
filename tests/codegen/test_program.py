"""Whole models as C: equal to TensorFlow Lite Micro, and clean for every compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import engines
import nightly
import numpy as np
import pytest
from compilers import COMPILERS, STRICT
from networks import Network, everything, random_network

from edgenet import tflite
from edgenet.codegen import emit
from edgenet.codegen.native import Library
from edgenet.codegen.program import program
from edgenet.errors import GraphError, UsageError

pytest.importorskip("flatbuffers")
TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"


def network(seed: int, *, dtype: str = "int8") -> tuple[bytes, np.ndarray]:
    built, y = random_network(np.random.default_rng(seed), dtype=dtype)
    return built.file(y), built.pictures(6)


def write(data: bytes, folder: Path, name: str = "net"):
    made = program(data, name)
    emit.write(made, folder)
    return made


def same_as_micro(data: bytes, pictures: np.ndarray, folder: Path) -> None:
    made = write(data, folder / "c")
    native = Library(folder / "c", folder / "build")
    assert native.prove(native.arena()) == 0
    outputs = tflite.read(data, "it").subgraphs[0].outputs
    for picture in pictures:
        theirs = engines.micro(data, [picture[np.newaxis]])
        found, layers = native.run((picture,))
        for index, codes in zip(outputs, found, strict=True):
            np.testing.assert_array_equal(codes, theirs(index).ravel())
        for layer, codes in zip(made.layers, layers, strict=True):
            whole = theirs(layer.layer.output).ravel()
            if whole.size == codes.size:  # others have lost channels
                np.testing.assert_array_equal(codes, whole, err_msg=layer.layer.name)


@pytest.mark.tool("cc")
@pytest.mark.parametrize("seed", range(2))
def test_random_networks_equal_tflm_on_every_layer(seed, tmp_path):
    same_as_micro(*network(seed), tmp_path)


@pytest.mark.slow
@pytest.mark.tool("cc")
@pytest.mark.parametrize("seed", nightly.beyond(6, range(2, 60)))
def test_many_random_networks_equal_tflm_on_every_layer(seed, tmp_path):
    same_as_micro(*network(seed), tmp_path)


@pytest.mark.tool("cc")
def test_the_tiny_model_equals_tflm_on_every_layer(tmp_path):
    shape = tflite.read(TINY.read_bytes(), "it").subgraphs[0].tensors[0].shape
    pictures = np.random.default_rng(0).integers(-128, 128, (4, *shape[1:])).astype(np.int8)
    same_as_micro(TINY.read_bytes(), pictures, tmp_path)


@pytest.mark.tool("cc")
def test_uint8_models_run_as_int8_ones(tmp_path):
    data, pictures = network(3, dtype="uint8")
    write(data, tmp_path / "c")
    native = Library(tmp_path / "c", tmp_path / "build")
    index = tflite.read(data, "it").subgraphs[0].outputs[0]
    for picture in pictures:
        (found,), _ = native.run(((picture ^ 128).view(np.int8),))
        theirs = engines.reference(data, [picture[np.newaxis]])(index)
        np.testing.assert_array_equal((found ^ -128).view(np.uint8), theirs.ravel())


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_is_content(compiler, tmp_path):
    made = program(everything(), "n" * 31)  # the longest
    files = emit.files(made, made.golden(1))
    (tmp_path / "src").mkdir()
    sources = [name for name in files if name.startswith("src/")]
    for name in sources:
        (tmp_path / name).write_text(files[name])
    sources = [name for name in sources if name.endswith(".c")]
    command = [*compiler, "-O1", "-c", *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[:2000]
    assert not done.stderr


@pytest.mark.tool("cc")
def test_two_models_link_into_one_program(tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        write(network(seed)[0], tmp_path / name, name)
    (tmp_path / "main.c").write_text(
        '#include "one/src/one.h"\n#include "two/src/two.h"\n'
        "static int8_t a[ONE_ARENA_BYTES] __attribute__((aligned(16)));\n"
        "static int8_t b[TWO_ARENA_BYTES] __attribute__((aligned(16)));\n"
        "int main(void) { return one_selftest(a) || two_selftest(b); }\n"
    )
    sources = [str(p) for n in ("one", "two") for p in sorted((tmp_path / n).glob("src/*.c"))]
    command = ["cc", *STRICT, *sources, str(tmp_path / "main.c"), "-o", str(tmp_path / "both")]
    subprocess.run(command, check=True)
    assert subprocess.run([tmp_path / "both"], check=False).returncode == 0


@pytest.mark.tool("cc")
def test_the_example_says_that_all_is_exact_and_says_which_layer_is_not(tmp_path):
    write(network(0)[0], tmp_path / "c")
    folder = tmp_path / "c"
    sources = [*sorted(folder.glob("src/*.c")), folder / "examples" / "main.c"]
    command = ["cc", f"-I{folder}/src", *sources, "-o", tmp_path / "example"]
    subprocess.run(command, check=True)
    done = subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=True)
    assert done.stdout == "all layers of all pictures are bit-exact\n"
    weights = folder / "src" / "net_weights.c"
    lines = weights.read_text().splitlines()
    first = lines.index("#else")  # where this machine's flavour is
    line = next(n for n, text in enumerate(lines) if n > first and text.startswith("    "))
    words = lines[line].split(", ")
    words[0] = "    " + str(-int(words[0]) if int(words[0]) else 99)
    weights.write_text("\n".join([*lines[:line], ", ".join(words), *lines[line + 1 :]]))
    subprocess.run(command, check=True)
    done = subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == "picture 1: layer 1 differs\n"


def test_the_same_model_gives_the_same_bytes(tmp_path):
    data, _ = network(0)
    for folder in ("a", "b"):
        write(data, tmp_path / folder)
    contents = [
        {path.relative_to(tmp_path / f): path.read_bytes() for path in (tmp_path / f).rglob("*.*")}
        for f in ("a", "b")
    ]
    assert contents[0] == contents[1]


def test_only_kernels_that_are_called_are_written():
    made = program(network(0)[0], "net")
    files = emit.files(made, made.golden(1))
    assert "src/net_en_dot_quad_s8.c" in files
    assert "src/net_en_transpose_s8.c" not in files
    unused = {"en_softmax_s8", "en_pool_max_s8", "en_add_s8"} - set(made.kernels)
    assert unused
    assert not any(f"src/net_{kernel}.c" in files for kernel in unused)


@pytest.mark.parametrize("name", ["Net", "9net", "my-net", "", "n" * 40])
def test_names_that_c_does_not_take_are_refused(name):
    with pytest.raises(UsageError, match="cannot be the name of a program in C"):
        program(b"", name)


def test_uint8_weights_that_no_int8_holds_are_refused():
    drawn = Network(np.random.default_rng(0), size=4, dtype="uint8")
    weight = np.array([0, 30, 255] * 4, np.uint8).reshape(4, 1, 1, 3)
    y = drawn._value((1, 4, 4, 4), zero_point=0)
    drawn.sketch.weighted(
        "CONV_2D", drawn.input, weight, np.zeros(4, np.int32), y, weight_scale=[0.01],
        weight_zero_point=30, padding="VALID", stride_h=1, stride_w=1, dilation_h_factor=1,
        dilation_w_factor=1, fused_activation_function="NONE",
    )  # fmt: skip
    with pytest.raises(GraphError, match="which are no int8"):
        program(drawn.file(y), "net")
