"""What stands for a Coral in tests: a model that is compiled for it, its library, its compiler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sketch import Sketch, file_of, model_of

from edgenet import tflite
from edgenet.tflite import Operator, Subgraph

flatbuffers = pytest.importorskip("flatbuffers", reason="the host extra writes models")
flexbuffers = pytest.importorskip("flatbuffers.flexbuffers")

STANDIN = Path(__file__).parent.parent / "edgetpu" / "standin.c"
PARAMETERS = b"\x01" * 300


def channel_max(height: int = 8, width: int = 8) -> bytes:
    """An int8 model of three classes: the largest value of each colour."""
    draw = Sketch("largest")
    scale = {"scale": 1 / 255, "zero_point": -128}
    takes = draw.tensor((1, height, width, 3), **scale)
    pooled = draw.operator(
        "MAX_POOL_2D",
        [takes],
        draw.tensor((1, 1, 1, 3), **scale),
        padding="VALID",
        stride_w=1,
        stride_h=1,
        filter_width=width,
        filter_height=height,
        fused_activation_function="NONE",
    )
    shape = draw.constant(np.array([1, 3], np.int32))
    gives = draw.operator(
        "RESHAPE", [pooled, shape], draw.tensor((1, 3), **scale), new_shape=(1, 3)
    )
    return file_of(draw.model([takes], [gives]))


def compiled(model: bytes, *, options: bytes | None = None) -> bytes:
    """The model as the compiler leaves it: one operator for all that it mapped."""
    graph = tflite.read(model, "model").subgraphs[0]
    whole = Operator(
        index=0,
        name="edgetpu-custom-op",
        custom=True,
        version=1,
        inputs=graph.inputs,
        outputs=graph.outputs,
        options_table="",
        options={},
        custom_options=custom_options() if options is None else options,
    )
    tensors = tuple(t for t in graph.tensors)
    return file_of(model_of([Subgraph("main", tensors, (whole,), graph.inputs, graph.outputs)]))


def custom_options(packages: Sequence[bytes] | None = None) -> bytes:
    """The operator's own bytes, with the keys of libedgetpu's tflite/custom_op_data.cc."""
    packages = [package()] if packages is None else packages
    builder = flexbuffers.Builder()

    def string(content: bytes) -> None:
        # Builder.String takes text alone
        builder._WriteBlob(content, append_zero=True, type_=flexbuffers.Type.STRING)

    with builder.Map():
        builder.Int("1", 1)
        builder.Key("4")
        string(packages[0])
        builder.Int("5", 0)
        builder.Key("6")
        with builder.Vector():
            for _ in packages:
                builder.Int(1)
        builder.Key("7")
        with builder.Vector():
            for more in packages[1:]:
                string(more)
    return bytes(builder.Finish())


def package(parameters: bytes = PARAMETERS) -> bytes:
    """A package of libedgetpu's executable/executable.fbs: one that caches, one that executes."""
    executables = [
        _executable(kind=1, token=7, parameters=parameters),
        _executable(kind=2, token=7, parameters=b"", scratch=64),
    ]
    builder = flatbuffers.Builder(1024)
    strings = [builder.CreateString(one) for one in executables]
    builder.StartVector(4, len(strings), 4)
    for offset in reversed(strings):
        builder.PrependUOffsetTRelative(offset)
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.Finish(builder.EndObject())
    multi = bytes(builder.Output())

    builder = flatbuffers.Builder(1024)
    content = builder.CreateByteVector(multi)
    compiler = builder.CreateString("16.0.384591198")
    builder.StartObject(8)
    builder.PrependInt32Slot(0, 14, 0)
    builder.PrependUOffsetTRelativeSlot(1, content, 0)
    builder.PrependUOffsetTRelativeSlot(4, compiler, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"DWN1")
    return bytes(builder.Output())


def _executable(*, kind: int, token: int, parameters: bytes, scratch: int = 0) -> bytes:
    builder = flatbuffers.Builder(1024)
    name, chip = builder.CreateString("largest"), builder.CreateString("beagle")
    weights = builder.CreateByteVector(parameters)
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(1, name, 0)
    builder.PrependInt32Slot(3, 1, 0)
    builder.PrependInt32Slot(4, scratch, 0)
    builder.PrependUOffsetTRelativeSlot(6, weights, 0)
    builder.PrependUOffsetTRelativeSlot(10, chip, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.PrependUint64Slot(14, token, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"DWN1")
    return bytes(builder.Output())


def build_standin(folder: Path) -> Path:
    """libedgetpu.so.1, as tests/edgetpu/standin.c has it."""
    library = folder / "libedgetpu.so.1"
    flags = ("-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["cc", *flags, "-o", str(library), str(STANDIN)], check=True)
    return library


_COMPILER = """#!{python}
import sys
sys.path[:0] = {path!r}
from pathlib import Path
if "--version" in sys.argv:
    print("Edge TPU Compiler version 16.0.384591198")
    raise SystemExit
out = Path(sys.argv[sys.argv.index("-o") + 1])
model = Path(sys.argv[-1])
{body}
"""


def write_compiler(folder: Path, body: str) -> Path:
    """A command edgetpu_compiler that runs ``body``, with ``model`` and ``out`` as its paths."""
    folder.mkdir(exist_ok=True)
    command = folder / "edgetpu_compiler"
    path = [str(Path(__file__).parent), *(one for one in sys.path if one)]
    command.write_text(_COMPILER.format(python=sys.executable, path=path, body=body))
    command.chmod(0o755)
    return command


COMPILES = """
from coral import compiled
(out / (model.stem + "_edgetpu.tflite")).write_bytes(compiled(model.read_bytes()))
print('''Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 5 ms.

Input model: {0}
Input size: 1.05KiB
Output model: {0}_edgetpu.tflite
Output size: 4.93KiB
On-chip memory used for caching model parameters: 0.00B
On-chip memory remaining for caching model parameters: 8.09MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 2
Operation log: {0}_edgetpu.log

Operator                       Count      Status

MAX_POOL_2D                    1          Mapped to Edge TPU
RESHAPE                        1          Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded! '''.format(model.stem))
"""
