"""Which operators an exported MobileNetV1 holds; anything more costs time or is not supported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema

CONV, DEPTHWISE = "CONV_2D", "DEPTHWISE_CONV_2D"
SEQUENCE = [CONV, *[DEPTHWISE, CONV] * 13, "MEAN", "FULLY_CONNECTED"]
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}

# 100 is odd after two strides: TensorFlow's SAME then pads both sides
CASES = [
    pytest.param({"alpha": 0.25, "side": 96}, id="0.25-96"),
    pytest.param({"alpha": 0.25, "side": 100, "depth_multiplier": 2}, id="0.25-100-multiplier-2"),
    pytest.param({"arch": "mobilenet_v1_cifar", "alpha": 0.5, "side": 32}, id="cifar-0.5"),
    pytest.param({"alpha": 1.0, "side": 224}, id="1.0-224", marks=pytest.mark.slow),
    pytest.param({"alpha": 0.75, "side": 161}, id="0.75-161", marks=pytest.mark.slow),
    pytest.param(
        {"arch": "mobilenet_v1_cifar", "alpha": 1.0, "side": 32},
        id="cifar-1.0",
        marks=pytest.mark.slow,
    ),
]


def parsed(model: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(model)


def operators(model: bytes) -> list[str]:
    parsed_model = parsed(model)
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in parsed_model.operatorCodes]
    (graph,) = parsed_model.subgraphs
    return [NAMES[codes[operator.opcodeIndex]] for operator in graph.operators]


@pytest.mark.parametrize("case", CASES)
def test_int8_tflite_holds_the_layers_and_nothing_else(translated, case):
    assert operators(translated(**case)["int8.tflite"]) == SEQUENCE


@pytest.mark.parametrize("case", CASES[:1])
def test_float_tflite_holds_the_same_operators(translated, case):
    assert operators(translated(**case)["fp32.tflite"]) == SEQUENCE


def test_a_map_of_one_pixel_is_not_averaged(translated):
    without = [name for name in SEQUENCE if name != "MEAN"]
    assert operators(translated(side=32)["int8.tflite"]) == without


@pytest.mark.parametrize("case", CASES)
def test_int8_tflite_takes_the_pixel_minus_128_and_gives_int8(translated, case):
    (graph,) = parsed(translated(**case)["int8.tflite"]).subgraphs
    (source,), (result,) = (
        [graph.tensors[i] for i in ends] for ends in (graph.inputs, graph.outputs)
    )
    assert source.type == result.type == schema.TensorType.INT8
    assert list(source.quantization.scale) == [np.float32(1 / 255)]
    assert list(source.quantization.zeroPoint) == [-128]


@pytest.mark.parametrize("case", CASES)
def test_weights_are_inside_the_flatbuffer(translated, case):
    buffers = parsed(translated(**case)["int8.tflite"]).buffers
    assert sum(buffer.data is not None for buffer in buffers) > 2 * 28
    assert all(buffer.offset == buffer.size == 0 for buffer in buffers)


@pytest.mark.parametrize("case", CASES)
def test_int8_tflite_follows_the_quantization_specification(translated, case):
    """Per-channel weights in [-127, 127], zero point 0; bias scale = input scale * weight scale."""
    model = parsed(translated(**case)["int8.tflite"])
    (graph,) = model.subgraphs
    for operator, name in zip(graph.operators, SEQUENCE, strict=True):
        if name == "MEAN":
            continue
        source, weight, bias = (graph.tensors[i] for i in operator.inputs)
        channels = 1 if name == "FULLY_CONNECTED" else graph.tensors[operator.outputs[0]].shape[-1]
        assert len(weight.quantization.scale) == channels
        assert weight.quantization.quantizedDimension == (3 if name == DEPTHWISE else 0)
        assert model.buffers[weight.buffer].data.view(np.int8).min() >= -127
        assert not np.any(weight.quantization.zeroPoint)
        assert not np.any(bias.quantization.zeroPoint)
        product = source.quantization.scale.astype(np.float32) * weight.quantization.scale
        np.testing.assert_array_equal(bias.quantization.scale, product)


def optimized(model: bytes, folder: Path, **options: str) -> Counter[str]:
    """Operators that are left after ONNX Runtime's own optimization."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.optimized_model_filepath = str(folder / "optimized.onnx")
    for key, value in options.items():
        settings.add_session_config_entry(f"session.{key}", value)
    onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    nodes = onnx.load(settings.optimized_model_filepath).graph.node
    return Counter(node.op_type for node in nodes)


@pytest.mark.parametrize("case", [CASES[0], *CASES[2:]])
def test_onnxruntime_fuses_every_layer_of_the_int8_onnx(translated, case, tmp_path):
    found = optimized(translated(**case)["int8.onnx"], tmp_path)
    assert found.pop("Transpose", 0) <= 2, "of pixels and of the pooled features"
    assert found == {
        "QLinearConv": 27,
        "QLinearGlobalAveragePool": 1,
        "Reshape": 1,
        "QGemm": 1,
    }


@pytest.mark.parametrize("option", ["qdqisint8allowed", "x64quantprecision"])
def test_onnxruntime_fuses_every_layer_also_under_the_options_of_other_cpus(
    translated, option, tmp_path
):
    """ARM is the former; the latter is for x86 without VNNI, whose faster kernels saturate."""
    found = optimized(translated()["int8.onnx"], tmp_path, **{option: "1"})
    assert (found["QLinearConv"], found["QGemm"]) == (27, 1)
    assert not {"Conv", "Gemm", "QuantizeLinear", "DequantizeLinear"} & set(found)
