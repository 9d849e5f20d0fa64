"""MobileNetV2 and V3 through the chain: their operators, and which engines give the same int8."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import click.testing
import engines
import numpy as np
import onnx as onnx_format
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper, numpy_helper
from torch.fx import GraphModule

from edgenet import codegen, edgetpu, tflite
from edgenet.architecture import ARCHITECTURES, Inverted
from edgenet.cli.main import main
from edgenet.codegen import emit
from edgenet.codegen.native import Library
from edgenet.dataset import open_dataset
from edgenet.errors import GraphError
from edgenet.host import calibration
from edgenet.host import checkpoint as checkpoints
from edgenet.host.calibration import Choice
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.integer import IntegerGraph
from edgenet.host.models import build
from edgenet.host.models.deployed import deployed
from edgenet.host.quantize import Calibrator
from edgenet.host.to_onnx import to_onnx
from edgenet.runtime.onnx import session_options
from edgenet.runtime.reference import Reference
from edgenet.spec import ModelSpec, Preprocess

PLAIN = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"}
V2 = {"arch": "mobilenet_v2", "alpha": 0.35, "side": 64}
CIFAR = {"arch": "mobilenet_v2_cifar", "alpha": 0.5, "side": 32}
MINIMALISTIC = {"arch": "mobilenet_v3_small_minimalistic", "alpha": 0.5, "side": 64}
# its first sum adds what a ReLU gave, whose zero point is then not the least code
LARGE = {"arch": "mobilenet_v3_large_minimalistic", "alpha": 0.75, "side": 65}
SYMMETRIC = V2 | {"padding": "symmetric"}
FULL = {"arch": "mobilenet_v3_small", "alpha": 0.5, "side": 64}

NIGHTLY = (pytest.mark.slow, pytest.mark.nightly)
DEVICES = [
    pytest.param(V2, id="v2"),
    pytest.param(CIFAR, id="v2-cifar", marks=NIGHTLY),
    pytest.param(MINIMALISTIC, id="v3-small-minimalistic", marks=pytest.mark.slow),
    pytest.param(LARGE, id="v3-large-minimalistic", marks=NIGHTLY),
    pytest.param(SYMMETRIC, id="v2-symmetric", marks=NIGHTLY),
]


def operators(model: bytes) -> list[str]:
    return [one.name for one in tflite.read(model, "model").subgraphs[0].operators]


def noise(network, count: int = 20) -> np.ndarray:
    """int8 codes (count, 1, H, W, 3)."""
    return (network.pixels(count) ^ 128).view(np.int8)


def litert(model: bytes, codes: np.ndarray, resolver=OpResolverType.AUTO) -> np.ndarray:
    interpreter = Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for one in codes:
        interpreter.set_tensor(source["index"], one)
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(rows).astype(int)


def onnx(model: bytes, codes: np.ndarray) -> np.ndarray:
    settings = session_options(onnxruntime, threads=1)
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"input": one.view(np.uint8) ^ 128})[0] for one in codes]
    found = np.concatenate(rows)
    return (found ^ 128).view(np.int8).astype(int)


def integers(graph: GraphModule, codes: np.ndarray) -> np.ndarray:
    pictures = torch.from_numpy((codes[:, 0].view(np.uint8) ^ 128).astype(np.float32)) / 255
    return IntegerGraph(graph).codes(pictures).numpy().astype(int)


# operators


@pytest.mark.parametrize("case", DEVICES)
def test_int8_tflite_holds_what_small_devices_have_and_nothing_else(translated, case) -> None:
    found = Counter(operators(translated(**case)["int8.tflite"]))
    pads = 5 if "padding" in case else 0
    assert found.pop("PAD", 0) == pads
    assert set(found) == PLAIN
    layers = Counter(layer.kind for layer in translated(**case).network.layers)
    assert found == {
        "CONV_2D": layers["conv"] + layers["pointwise"],
        "DEPTHWISE_CONV_2D": layers["depthwise"],
        "ADD": layers["add"],
        "MEAN": 1,
        "FULLY_CONNECTED": layers["linear"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", [V2, MINIMALISTIC, FULL])
def test_float_tflite_holds_the_same_operators_in_the_same_order(translated, case) -> None:
    """So that edgenet evaluate --layers can compare them."""
    found = translated(**case)
    assert operators(found["fp32.tflite"]) == operators(found["int8.tflite"])


@pytest.mark.slow
def test_the_full_third_holds_products_and_hard_swish_as_well(translated) -> None:
    """Hard-sigmoid is in the convolutions: every operator has an int8 kernel."""
    found = Counter(operators(translated(**FULL)["int8.tflite"]))
    assert found == {
        "CONV_2D": 41, "DEPTHWISE_CONV_2D": 11, "MEAN": 10, "MUL": 9, "ADD": 7, "HARD_SWISH": 19,
        "FULLY_CONNECTED": 2,
    }  # fmt: skip


@pytest.mark.parametrize("case", DEVICES)
def test_what_a_sum_adds_and_gives_has_one_scale(translated, case) -> None:
    graph = tflite.read(translated(**case)["int8.tflite"], "model").subgraphs[0]
    sums = [one for one in graph.operators if one.name == "ADD"]
    for operator in sums:
        tensors = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs)]
        assert len({(t.scale, t.zero_point) for t in tensors}) == 1
    assert len(sums) == sum(layer.kind == "add" for layer in translated(**case).network.layers)


@pytest.mark.parametrize("case", DEVICES)
def test_the_edge_tpu_takes_all_of_it(translated, case) -> None:
    verdict = edgetpu.check(tflite.read(translated(**case)["int8.tflite"], "model"))
    assert verdict.whole
    assert verdict.refused == ""


# which engines agree


@pytest.mark.parametrize("case", DEVICES)
def test_integers_xnnpack_and_onnxruntime_give_equal_logits(translated, case) -> None:
    network = translated(**case)
    codes = noise(network)
    expected = integers(network.int8_graph, codes)
    assert np.ptp(expected) > 50
    np.testing.assert_array_equal(litert(network["int8.tflite"], codes), expected)
    np.testing.assert_array_equal(onnx(network["int8.onnx"], codes), expected)


@pytest.mark.parametrize("case", DEVICES)
def test_the_arbiter_and_the_generated_c_are_tflite_micro_to_the_bit(
    translated, case, tmp_path
) -> None:
    model, codes = translated(**case)["int8.tflite"], noise(translated(**case), 4)
    (tmp_path / "model.tflite").write_bytes(model)
    session = Reference().open(tmp_path / "model.tflite")
    made = codegen.program.program(model, "net")
    emit.write(made, tmp_path / "c")
    native = Library(tmp_path / "c", tmp_path / "build")
    assert native.prove(native.arena()) == 0
    index = tflite.read(model, "net").subgraphs[0].outputs[0]
    seen = set()
    for one in codes:
        theirs = engines.micro(model, [one])(index).ravel()
        np.testing.assert_array_equal(session.run([one])[0].ravel(), theirs)
        np.testing.assert_array_equal(native.run((one,))[0][0], theirs)
        seen.add(theirs.tobytes())
    assert len(seen) > 1


def nearly_equal(found: np.ndarray, expected: np.ndarray) -> bool:
    """Off by rounding noise: most logits are the same, none is far off."""
    steps = np.abs(found - expected)
    return bool(steps.max() <= 4 and np.mean(steps == 0) > 0.5)


@pytest.mark.slow
def test_products_of_squeeze_and_excite_are_equal_but_in_onnxruntime(
    translated, monkeypatch
) -> None:
    family = ARCHITECTURES["mobilenet_v3_small"]
    blocks = tuple(
        replace(block, activation="relu")
        for block in family.blocks[:5]
        if isinstance(block, Inverted)
    )
    squeezed = replace(family, name="squeezed", activation="relu", blocks=blocks)
    monkeypatch.setitem(ARCHITECTURES, "squeezed", squeezed)
    network = translated("squeezed", 0.5, 64)
    codes = noise(network)
    expected = integers(network.int8_graph, codes)
    assert "MUL" in operators(network["int8.tflite"])
    np.testing.assert_array_equal(litert(network["int8.tflite"], codes), expected)
    assert nearly_equal(onnx(network["int8.onnx"], codes), expected)


def test_onnxruntime_adds_the_zero_point_of_a_product_before_it_rounds() -> None:
    """So 85.4999945 + 57 becomes 142.5, and goes down to the even 142 where 85 + 57 was due."""
    scales, zero_points = np.float32([0.0066346340, 0.0135710677, 0.0218515843]), (57, 0, 57)
    ends = {
        name: helper.make_tensor_value_info(name, TensorProto.UINT8, [256, 256]) for name in "ac"
    }
    ends["b"] = helper.make_tensor_value_info("b", TensorProto.UINT8, [256, 256])
    constants, inputs = [], []
    for name, scale, zero_point in zip("abc", scales, zero_points, strict=True):
        constants.append(numpy_helper.from_array(np.array(scale), f"{name}_scale"))
        constants.append(numpy_helper.from_array(np.array(zero_point, np.uint8), f"{name}_zero"))
        inputs += [name, f"{name}_scale", f"{name}_zero"] if name != "c" else ["c_scale", "c_zero"]
    node = helper.make_node("QLinearMul", inputs, ["c"], domain="com.microsoft")
    graph = helper.make_graph([node], "g", [ends["a"], ends["b"]], [ends["c"]], constants)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    a, b = np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 2)
    (found,) = session.run(None, {"a": a, "b": b})
    product = (a.astype(np.float32) - 57) * b
    real = product * (scales[0] * scales[1] / scales[2])
    once = np.clip(np.rint(real) + 57, 0, 255)
    early = np.clip(np.rint(real + np.float32(57)), 0, 255)
    np.testing.assert_array_equal(found, early)
    assert 0 < np.count_nonzero(once != early) < 1000


@pytest.mark.slow
def test_the_engines_of_the_full_third_are_rounding_noise_apart(translated) -> None:
    """LiteRT's hard-swish is fixed point of its own; ONNX Runtime rounds products otherwise."""
    network = translated(**FULL)
    codes = noise(network)
    expected = integers(network.int8_graph, codes)
    assert np.ptp(expected) > 50
    assert nearly_equal(onnx(network["int8.onnx"], codes), expected)
    assert nearly_equal(litert(network["int8.tflite"], codes), expected)
    with pytest.raises(GraphError, match=r"operator HARD_SWISH .*is not supported"):
        codegen.program.program(network["int8.tflite"], "net")


# the network of devices


@pytest.mark.parametrize("arch", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_without_hard_sigmoid_the_function_is_the_same(arch: str) -> None:
    torch.manual_seed(0)
    network = build(ModelSpec(arch, 0.35, ("a", "b", "c"), Preprocess(32, 32))).eval().double()
    for layer in network.layers:
        if layer.activation == "hard_sigmoid":  # gates that are closed, half open and open
            network.get_submodule(layer.name).conv.bias.data.uniform_(-4, 4)
    found = deployed(network)
    assert found is not network
    assert {layer.activation for layer in network.layers} >= {"hard_sigmoid"}
    x = torch.rand(4, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(found(x), network(x), rtol=1e-9, atol=1e-12)


def test_a_network_without_gates_is_left_as_it_is() -> None:
    network = build(ModelSpec("mobilenet_v2", 0.1, ("a", "b"), Preprocess(32, 32)))
    assert deployed(network) is network


@pytest.mark.slow
def test_recorded_ranges_give_the_graph_that_pictures_gave_with_shared_scales_too() -> None:
    spec = ModelSpec("mobilenet_v2", 0.1, ("a", "b"), Preprocess(32, 32))
    torch.manual_seed(0)
    network = build(spec).eval()
    pictures = torch.rand(4, 32, 32, 3)
    seen, recorded = Calibrator(network, spec), Calibrator(network, spec)
    seen.observe([pictures])
    ranges = seen.ranges()
    assert ranges["blocks.2.add"] == ranges["blocks.2.project"] == ranges["blocks.1.project"]
    assert len(ranges) == len(network.layers) - 1  # a map of one pixel is not averaged
    recorded.apply(ranges)
    assert torch.equal(seen.convert()(pictures), recorded.convert()(pictures))


# commands


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["mobilenet_v2", "mobilenet_v3_small", MINIMALISTIC["arch"]])
def test_train_quantize_export_and_verify(arch: str, tmp_path: Path) -> None:
    def run(*words: object) -> str:
        result = click.testing.CliRunner().invoke(main, list(map(str, words)))
        assert result.exit_code == 0, result.output
        return result.output

    size = ("--alpha", 0.25, "--imgsz", 32)
    run("train", "--data", "digits", "--arch", arch, *size, "--epochs", 1, "-o", tmp_path / "run")
    run(
        "quantize",
        tmp_path / "run",
        "--data",
        "digits",
        "--calib-samples",
        16,
        "-o",
        tmp_path / "q",
    )
    run("export", "--target", "pc", "--model", tmp_path / "q", "-o", tmp_path / "bundle")
    assert "equal" in run("verify", tmp_path / "bundle")
    assert arch in run("info", tmp_path / "bundle")


@pytest.mark.slow
def test_calibration_tells_how_near_int8_is(tmp_path: Path) -> None:
    spec = ModelSpec("mobilenet_v2", 0.35, tuple("0123456789"), Preprocess(32, 32))
    torch.manual_seed(0)
    checkpoints.save(tmp_path / "run", Checkpoint(spec=spec), build(spec).state_dict())
    choice = Choice(open_dataset("digits"), samples=16)
    report = calibration.record(tmp_path / "run", tmp_path / "q", choice)
    assert report.sqnr_db is not None
    assert report.sqnr_db > 10


@pytest.mark.slow
def test_a_clamp_that_the_scale_does_not_make_is_made_on_the_codes() -> None:
    """At alpha 0.1 the first sum adds what a ReLU6 gave, in a scale with negative codes."""
    spec = ModelSpec("mobilenet_v2", 0.1, ("a", "b"), Preprocess(32, 32))
    torch.manual_seed(0)
    calibrator = Calibrator(build(spec).eval(), spec)
    pictures = torch.rand(2, 32, 32, 3)
    calibrator.observe([pictures])
    model = calibrator.convert()
    content = to_onnx(model, torch.zeros(1, 32, 32, 3), int8=True)
    (clip,) = [n for n in onnx_format.load_from_string(content).graph.node if n.op_type == "Clip"]
    assert clip.input[0].endswith("_before")
    codes = np.random.default_rng(0).integers(-128, 128, (8, 1, 32, 32, 3)).astype(np.int8)
    np.testing.assert_array_equal(onnx(content, codes), integers(model, codes))
