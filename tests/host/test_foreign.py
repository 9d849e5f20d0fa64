"""ONNX models as torch and others export them, and litert-torch's float ones, through the chain."""

from __future__ import annotations

from pathlib import Path

import click.testing
import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgenet import foreign
from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.errors import EdgenetError, ExportError
from edgenet.foreign import onnx_graph
from edgenet.foreign.protobuf import Malformed
from edgenet.host.quiet import quiet_exporters
from edgenet.runner import Frame
from edgenet.stream.classify import Classifier, probabilities

LABELS = ("ant", "bee", "cat", "dog")
SIDE = 16


class Small(nn.Module):
    """A network as torch users write it: planes of colour, ImageNet's normalization."""

    def __init__(self, *, softmax: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.last = nn.Linear(8, len(LABELS))
        self.softmax = softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.last(torch.relu(self.conv(x)).mean((2, 3)))
        return torch.softmax(y, 1) if self.softmax else y


def export(path: Path, *, softmax: bool = False, batch: bool = False) -> Path:
    example = torch.zeros(1, 3, SIDE, SIDE)
    with quiet_exporters():
        torch.onnx.export(
            Small(softmax=softmax).eval(),
            (example,),
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("batch")},) if batch else None,
        )
    return path


def run(*words: object) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    return tmp_path / "labels.txt"


@pytest.mark.parametrize(("softmax", "batch"), [(False, True), (True, False)])
def test_torch_model_answers_as_torch_does(
    tmp_path: Path, labels: Path, softmax: bool, batch: bool
) -> None:
    export(tmp_path / "small.onnx", softmax=softmax, batch=batch)
    words = ("--labels", labels, "--preprocess", "torch", "-o", tmp_path / "b")
    result = run("bundle", tmp_path / "small.onnx", *words)
    assert result.exit_code == 0, result.output
    assert run("verify", tmp_path / "b").exit_code == 0
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.record("fp32.onnx").inputs[0].shape == (1, 3, SIDE, SIDE)
    assert bundle.record("fp32.onnx").answers == ("probabilities" if softmax else "logits")
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in foreign.PRESETS["torch"])
    with torch.no_grad():
        expected = torch.softmax(Small()((pixels - mean) / std), 1)[0].numpy()
    found = probabilities(Classifier.open(bundle, "fp32.onnx")(Frame(0, 0.0, picture)).logits)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def model(nodes, takes, gives, constants=(), *, kind=TensorProto.FLOAT) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, takes)],
        [helper.make_tensor_value_info("y", kind, gives)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def flat(last: str | None = None, *, takes=(1, 3, 2, 2), kind=TensorProto.FLOAT) -> onnx.ModelProto:
    """Flatten, and what the answers come from; 12 classes."""
    nodes = [helper.make_node("Flatten", ["x"], ["f"])]
    nodes.append(helper.make_node(last or "Identity", ["f"], ["y"]))
    batch = takes[0]
    return model(nodes, takes, (batch, 12), kind=kind)


def save(tmp_path: Path, proto: onnx.ModelProto) -> Path:
    onnx.save(proto, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def quantized(kind: int, zero: int) -> onnx.ModelProto:
    """An integer input and output, with their scales at the nodes."""
    dtype = np.uint8 if kind == TensorProto.UINT8 else np.int8
    constants = (("s", np.float32(1 / 127.5)), ("z", dtype(zero)))
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("QuantizeLinear", ["f", "s", "z"], ["y"]),
    ]
    return model(nodes, (1, 2, 2, 3), (1, 12), constants, kind=kind)


@pytest.mark.parametrize(("kind", "zero"), [(TensorProto.UINT8, 128), (TensorProto.INT8, 0)])
def test_scales_are_read_at_the_nodes(tmp_path: Path, kind: int, zero: int) -> None:
    one = foreign.read(save(tmp_path, quantized(kind, zero)))
    assert one.variant == "int8.onnx"
    for tensor in (one.input, one.output):
        assert tensor.scale == (pytest.approx(1 / 127.5),)
        assert tensor.zero_point == (zero,)
    (tmp_path / "labels.txt").write_text("\n".join(f"c{i}" for i in range(12)))
    words = ("--labels", tmp_path / "labels.txt", "-o", tmp_path / "b")
    assert run("bundle", tmp_path / "m.onnx", *words).exit_code == 0
    assert run("verify", tmp_path / "b").exit_code == 0
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    classifier = Classifier.open(Bundle.open(tmp_path / "b"), "int8.onnx")
    logits = classifier(Frame(0, 0.0, picture)).logits
    expected = (picture.reshape(-1) - 128.0) / 127.5
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_raw_pixels_are_taken_as_they_are(tmp_path: Path) -> None:
    cast = [helper.make_node("Flatten", ["x"], ["y"])]
    one = foreign.read(save(tmp_path, model(cast, (1, 2, 2, 3), (1, 12), kind=TensorProto.UINT8)))
    assert one.input.scale == (1 / 255,)
    assert one.input.zero_point == (0,)


@pytest.mark.parametrize(
    ("last", "answers"),
    [("Softmax", "probabilities"), ("LogSoftmax", "logits"), ("Relu", "logits")],
)
def test_last_operator_says_what_the_answers_are(tmp_path: Path, last: str, answers: str) -> None:
    assert foreign.read(save(tmp_path, flat(last))).answers == answers


@pytest.mark.parametrize(
    ("proto", "sentence"),
    [
        (flat("Sigmoid"), "ends with Sigmoid, which scores each class by itself"),
        (flat(takes=(4, 3, 2, 2)), "takes 4x3x2x2, a batch of 4"),
        (
            flat(takes=("n", 3, "h", "w")),
            "the size 'h' of 'x' is open; fix it with: python -m onnxruntime.tools",
        ),
        (flat(takes=(1, 2, 2, 3, 1)), "takes 1x2x2x3x1; a picture is"),
    ],
)
def test_what_is_no_classifier_is_refused(
    tmp_path: Path, proto: onnx.ModelProto, sentence: str
) -> None:
    with pytest.raises(ExportError, match=sentence):
        foreign.read(save(tmp_path, proto))


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    weights = ("w", np.ones((12, 12), np.float32))
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    proto = model(nodes, (1, 3, 2, 2), (1, 12), [weights])
    onnx.save(
        proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    with pytest.raises(ExportError, match="keeps its weights in another file; save it as one"):
        foreign.read(tmp_path / "m.onnx")


def test_old_files_that_list_constants_among_inputs_are_read(tmp_path: Path) -> None:
    proto = flat()
    extra = numpy_helper.from_array(np.float32(2), "unused")
    proto.graph.initializer.append(extra)
    proto.graph.input.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, ()))
    assert foreign.read(save(tmp_path, proto)).input.name == "x"


@given(st.data())
@settings(max_examples=60)
def test_damaged_onnx_ends_in_one_way(data: st.DataObject) -> None:
    content = bytearray(quantized(TensorProto.UINT8, 128).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        onnx_graph.read(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except Malformed as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_graph_agrees_with_the_published_reader(tmp_path: Path) -> None:
    path = export(tmp_path / "small.onnx", batch=True)
    mine, theirs = onnx_graph.read(path.read_bytes()), onnx.load(path).graph
    assert [node.operator for node in mine.nodes] == [node.op_type for node in theirs.node]
    assert [node.inputs for node in mine.nodes] == [tuple(node.input) for node in theirs.node]
    (sizes,) = mine.inputs.values()
    assert isinstance(sizes[0], str)
    assert sizes[1:] == (3, SIDE, SIDE)
    for constant in theirs.initializer:
        values = numpy_helper.to_array(constant)
        if values.size == 1 and values.dtype == np.float32:
            assert mine.scalars[constant.name] == pytest.approx(float(values.reshape(-1)[0]))


def test_errors_are_edgenets_own(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(flat("NoSuchOperator").SerializeToString())
    with pytest.raises(EdgenetError, match="cannot run it"):
        foreign.read(tmp_path / "m.onnx")
