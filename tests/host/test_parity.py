"""Which engines give the same int8 logits, and which rounding each family of them has.

float32-half-even: the integer graph, LiteRT with XNNPACK, ONNX Runtime. Equal in every logit.
gemmlowp-double: LiteRT's reference kernels and TensorFlow Lite Micro. Equal but for the last
operator, FULLY_CONNECTED, which LiteRT alone rounds in double precision.
"""

from __future__ import annotations

import copy
import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
import onnxruntime
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgenet import image
from edgenet.host import checkpoint
from edgenet.host.checkpoint import load_network
from edgenet.host.export import calibrated, convert
from edgenet.host.integer import IntegerGraph
from edgenet.runtime import onnx

Codes = np.ndarray
Run = Callable[[Codes], Codes]
"""int8 codes of one input, with its batch dimension, to int8 codes of the output."""

REFERENCE = OpResolverType.BUILTIN_REF
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


def litert(model: bytes, resolver: OpResolverType = OpResolverType.AUTO) -> Run:
    interpreter = Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(codes: Codes) -> Codes:
        interpreter.set_tensor(source["index"], codes)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def tflite_micro(model: bytes) -> Run:
    micro = pytest.importorskip("tflite_micro").runtime
    interpreter = micro.Interpreter.from_bytes(model, arena_size=16 << 20)

    def run(codes: Codes) -> Codes:
        interpreter.set_input(codes, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    return run


def ort(model: bytes, **config: str) -> Run:
    settings = onnx.session_options(onnxruntime, threads=1)
    for key, value in config.items():
        settings.add_session_config_entry(f"session.{key}", value)
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])

    def run(codes: Codes) -> Codes:
        (found,) = session.run(None, {"input": codes.view(np.uint8) ^ 128})
        return (found ^ 128).view(np.int8)

    return run


def integers(graph: torch.fx.GraphModule) -> Run:
    whole = IntegerGraph(graph)
    return lambda codes: whole.codes(pictures(codes)).numpy()


def pictures(codes: Codes) -> torch.Tensor:
    """What the int8 input stands for when it is the pixel minus 128."""
    return torch.from_numpy((codes.view(np.uint8) ^ 128).astype(np.float32)) / 255


def outputs(run: Run, inputs: list[Codes]) -> np.ndarray:
    """One row for each input, wide enough to subtract."""
    return np.concatenate([run(codes) for codes in inputs]).astype(int)


# One operator cut out of a model, to be fed the same codes under each engine.


class Cut(NamedTuple):
    name: str
    model: bytes
    source: int
    result: int
    parsed: Any
    operator: Any


def cuts(model: bytes) -> Iterator[Cut]:
    """Every operator of a model as a model of its own."""
    whole = schema.ModelT.InitFromPackedBuf(model)
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in whole.operatorCodes]
    for operator in whole.subgraphs[0].operators:
        parsed = copy.copy(whole)
        graph = copy.copy(whole.subgraphs[0])
        graph.operators = [operator]
        graph.inputs, graph.outputs = operator.inputs[:1], operator.outputs
        parsed.subgraphs, parsed.signatureDefs, parsed.metadata = [graph], None, None
        name = NAMES[codes[operator.opcodeIndex]]
        yield Cut(name, pack(parsed), graph.inputs[0], graph.outputs[0], parsed, operator)


def pack(parsed: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def walk(model: bytes, codes: Codes) -> Iterator[tuple[Cut, Codes]]:
    """Each operator with the codes that reach it, as XNNPACK computes them."""
    tensors: dict[int, Codes] = {}
    for cut in cuts(model):
        given = tensors.setdefault(cut.source, codes)
        yield cut, given
        tensors[cut.result] = litert(cut.model)(given)


# The two roundings in numpy.


def sums(cut: Cut, codes: Codes) -> np.ndarray:
    """The integer sums of a convolution or linear layer, bias included, (..., channels)."""
    tensors, buffers = cut.parsed.subgraphs[0].tensors, cut.parsed.buffers
    source, weight, bias = (tensors[i] for i in cut.operator.inputs)
    kernel = buffers[weight.buffer].data.view(np.int8).reshape(weight.shape).astype(float)
    offset = buffers[bias.buffer].data.view(np.int32).astype(float)
    values = codes.astype(float) - source.quantization.zeroPoint[0]
    if cut.name == "FULLY_CONNECTED":
        return (values.reshape(len(values), -1) @ kernel.T + offset).astype(np.int64)
    depthwise = cut.name == "DEPTHWISE_CONV_2D"
    stride = cut.operator.builtinOptions.strideH
    sides = zip(values.shape[1:3], kernel.shape[1:3], strict=True)
    totals = [max((-(-size // stride) - 1) * stride + k - size, 0) for size, k in sides]
    around = [(0, 0), *[(total // 2, total - total // 2) for total in totals], (0, 0)]
    found = torch.nn.functional.conv2d(
        torch.from_numpy(np.pad(values, around).transpose(0, 3, 1, 2)),
        torch.from_numpy(kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))),
        torch.from_numpy(offset),
        stride=stride,
        groups=values.shape[3] if depthwise else 1,
    )
    return found.numpy().transpose(0, 2, 3, 1).astype(np.int64)


def scales(cut: Cut) -> tuple[np.float32, np.ndarray, np.float32, int]:
    """Of the input, of the weights, of the output, and the output's zero point."""
    tensors = cut.parsed.subgraphs[0].tensors
    source, weight = (tensors[i].quantization.scale for i in cut.operator.inputs[:2])
    result = tensors[cut.result].quantization
    return (
        np.float32(source[0]),
        np.asarray(weight, np.float32),
        np.float32(result.scale[0]),
        int(result.zeroPoint[0]),
    )


def float32_half_even(cut: Cut, codes: Codes) -> Codes:
    source, weight, result, zero_point = scales(cut)
    rounded = np.rint(sums(cut, codes).astype(np.float32) * (source * weight / result))
    return np.clip(rounded + zero_point, -128, 127).astype(np.int8)


def gemmlowp_double(cut: Cut, codes: Codes) -> Codes:
    """Rounding doubling high multiplication, then rounding right shift; both halves away from 0."""
    source, weight, result, zero_point = scales(cut)
    fraction, exponent = np.frexp(np.float64(source) * weight.astype(np.float64) / result)
    multiplier = np.round(fraction * 2**31).astype(np.int64)
    assert np.all(exponent <= 0)
    assert np.all(multiplier < 2**31)
    product = sums(cut, codes) * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.sign(nudged) * (np.abs(nudged) >> 31)
    divisor = 1 << -exponent.astype(np.int64)
    shifted = np.sign(high) * ((np.abs(high) + divisor // 2) // divisor)
    return np.clip(shifted + zero_point, -128, 127).astype(np.int8)


def double_precision(cut: Cut, codes: Codes) -> Codes:
    source, weight, result, zero_point = scales(cut)
    exact = sums(cut, codes) * (np.float64(source) * weight.astype(np.float64) / result)
    rounded = np.sign(exact) * np.floor(np.abs(exact) + 0.5)
    return np.clip(rounded + zero_point, -128, 127).astype(np.int8)


# Random weights: no trained margins, every layer's range in use.


@pytest.fixture(scope="module")
def noise(translated) -> list[Codes]:
    return [(pixels ^ 128).view(np.int8) for pixels in translated().pixels(40)]


@pytest.fixture(scope="module")
def model(translated) -> bytes:
    return translated()["int8.tflite"]


def test_integer_graph_xnnpack_and_onnxruntime_give_equal_logits(translated, model, noise):
    expected = outputs(integers(translated().int8_graph), noise)
    assert np.ptp(expected) > 100
    np.testing.assert_array_equal(outputs(litert(model), noise), expected)
    np.testing.assert_array_equal(outputs(ort(translated()["int8.onnx"]), noise), expected)


def test_weights_lie_on_their_codes_so_that_no_converter_can_round_them_otherwise(translated):
    graph, checked = translated().int8_graph, 0
    for node in graph.graph.nodes:
        if "quantized_decomposed.quantize" in str(node.target) and node.args[0].op == "get_attr":
            weight, scale = (attribute(graph, a) for a in node.args[:2])
            steps = weight / scale.reshape(-1, *[1] * (weight.ndim - 1))
            assert (steps - steps.round()).abs().max() < 1e-3
            assert steps.abs().max() <= 127.001
            checked += 1
    assert checked == 28


def attribute(graph: torch.fx.GraphModule, argument: Any) -> torch.Tensor:
    """The tensor that an argument of a node names, or is."""
    if isinstance(argument, float):
        return torch.tensor(argument)
    found = graph
    for part in argument.target.split("."):
        found = getattr(found, part)
    return found


def test_onnxruntime_gives_the_same_logits_with_the_kernels_of_other_cpus(translated, noise):
    """Of ARM, which keeps int8 as it is, and of x86 without VNNI."""
    model = translated()["int8.onnx"]
    expected = outputs(ort(model), noise)
    for option in ("qdqisint8allowed", "x64quantprecision"):
        np.testing.assert_array_equal(outputs(ort(model, **{option: "1"}), noise), expected)


def test_onnxruntime_is_told_of_an_x86_without_vnni(monkeypatch):
    def option(machine: str, flags: str) -> str:
        monkeypatch.setattr(platform, "machine", lambda: machine)
        monkeypatch.setattr(onnx, "_cpu_flags", lambda: flags)
        settings = onnx.session_options(onnxruntime, threads=1)
        try:
            return settings.get_session_config_entry("session.x64quantprecision")
        except RuntimeError:
            return "unset"

    assert option("x86_64", "flags : sse4_2 avx2 avx512f") == "1"
    assert option("x86_64", "flags : avx2 avx512_vnni") == "unset"
    assert option("x86_64", "flags : avx2 avx_vnni") == "unset"
    assert option("AMD64", "") == "1"
    assert option("aarch64", "Features : fp asimd") == "unset"


@pytest.mark.slow
@pytest.mark.tool("qemu-x86_64")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="an emulated x86 runs x86 packages")
def test_onnxruntime_saturates_on_an_x86_without_vnni_unless_it_is_told(
    translated, noise, tmp_path
):
    """On an emulated Haswell, whose /proc/cpuinfo is the real machine's."""
    (tmp_path / "model.onnx").write_bytes(translated()["int8.onnx"])
    np.save(tmp_path / "noise.npy", np.concatenate(noise[:2]).view(np.uint8) ^ 128)
    script = """
import sys, numpy as np
from pathlib import Path
from edgenet.runtime import onnx
onnx._cpu_flags = lambda: sys.argv[2]
folder = Path(sys.argv[1])
session = onnx.OnnxRuntime().open(folder / "model.onnx")
rows = [session.run([pixels[None]])[0] for pixels in np.load(folder / "noise.npy")]
np.save(folder / "logits.npy", np.concatenate(rows))
"""

    def emulated(flags: str) -> np.ndarray:
        haswell = ["qemu-x86_64", "-cpu", "Haswell", sys.executable, "-c", script]
        subprocess.run([*haswell, str(tmp_path), flags], check=True, capture_output=True)
        return (np.load(tmp_path / "logits.npy") ^ 128).view(np.int8).astype(int)

    expected = outputs(ort(translated()["int8.onnx"]), noise[:2])
    np.testing.assert_array_equal(emulated("avx2"), expected)
    assert np.any(emulated("avx2 avx512_vnni") != expected)


def test_the_int8_graph_that_torch_simulates_in_float_stays_within_three_steps(
    translated, model, noise
):
    """Its sums are of floats, so one that lies near the middle of two codes may take the other."""
    result = schema.ModelT.InitFromPackedBuf(model).subgraphs[0].tensors[-1].quantization
    with torch.inference_mode():
        real = np.concatenate([translated().int8_graph(pictures(x)).numpy() for x in noise])
    simulated = np.rint(real / result.scale[0]) + result.zeroPoint[0]
    steps = np.abs(simulated - outputs(litert(model), noise))
    assert steps.max() <= 3
    assert np.mean(steps > 0) < 0.5


def test_xnnpack_rounds_every_layer_once_in_float32_halves_to_even(model, noise):
    for cut, codes in walk(model, noise[0]):
        if cut.name != "MEAN":
            np.testing.assert_array_equal(litert(cut.model)(codes), float32_half_even(cut, codes))


def test_reference_kernels_and_tflite_micro_round_every_convolution_twice(model, noise):
    for cut, codes in walk(model, noise[0]):
        if "CONV_2D" in cut.name:
            expected = gemmlowp_double(cut, codes)
            np.testing.assert_array_equal(litert(cut.model, REFERENCE)(codes), expected)
            np.testing.assert_array_equal(tflite_micro(cut.model)(codes), expected)


def test_reference_kernels_and_tflite_micro_give_the_same_features(model, noise):
    """Features are what the pool gives; all that follows is FULLY_CONNECTED."""
    parsed = schema.ModelT.InitFromPackedBuf(model)
    graph = parsed.subgraphs[0]
    *graph.operators, _ = graph.operators
    graph.outputs, parsed.signatureDefs = graph.operators[-1].outputs, None
    features = pack(parsed)
    expected = outputs(litert(features, REFERENCE), noise)
    assert np.ptp(expected) > 100
    np.testing.assert_array_equal(outputs(tflite_micro(features), noise), expected)


def test_fully_connected_is_where_reference_kernels_and_tflite_micro_differ(model):
    """LiteRT rounds it once, in double precision; TensorFlow Lite Micro twice, in integers."""
    *_, cut = cuts(model)
    assert cut.name == "FULLY_CONNECTED"
    shape = cut.parsed.subgraphs[0].tensors[cut.source].shape
    inputs = np.random.default_rng(0).integers(-128, 128, (2000, *shape)).astype(np.int8)
    inputs[:, ..., shape[-1] // 4 :] //= 8  # most sums then lie inside the output's range
    reference, micro = litert(cut.model, REFERENCE), tflite_micro(cut.model)
    differ = 0
    for codes in inputs:
        once, twice = reference(codes), micro(codes)
        np.testing.assert_array_equal(once, double_precision(cut, codes))
        np.testing.assert_array_equal(twice, gemmlowp_double(cut, codes))
        differ += np.count_nonzero(once != twice)
        assert np.abs(once.astype(int) - twice).max() <= 1
    assert differ > 0


def test_across_the_families_no_operator_differs_by_more_than_one_step(model, noise):
    for cut, codes in walk(model, noise[0]):
        ours, theirs = (
            litert(cut.model, r)(codes).astype(int) for r in (OpResolverType.AUTO, REFERENCE)
        )
        assert np.abs(ours - theirs).max() <= 1, cut.name
        # twice rounding a mean of few pixels is coarse: its first step is a quarter of the last
        assert np.mean(ours != theirs) < (0.2 if cut.name == "MEAN" else 0.02), cut.name


def test_across_the_families_random_networks_stay_within_five_steps(model, noise):
    """Steps of one spread from layer to layer; without training no margin holds the top class."""
    steps = np.abs(outputs(litert(model), noise) - outputs(litert(model, REFERENCE), noise))
    assert 0 < steps.max() <= 5


# The shipped checkpoint on real pictures.

PICTURES = 2000  # few change their class, so a share of 0.5 % needs many


@pytest.fixture(scope="module")
def photographs() -> Iterator[tuple[str, bytes]]:
    """Validation pictures of Imagenette, evenly spread over the classes."""
    folder = os.environ.get("EDGENET_DATA")
    if not folder:
        pytest.skip("EDGENET_DATA is not set; it is the folder that holds imagenette128.tar")
    archive = Path(folder) / "imagenette128.tar"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there")
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.isfile() and "/val/" in m.name]
        picked = np.linspace(0, len(members) - 1, PICTURES).astype(int)
        yield [(members[i].name, tar.extractfile(members[i]).read()) for i in picked]


@pytest.fixture(scope="module")
def trained(photographs) -> dict[str, np.ndarray]:
    """The shipped checkpoint's int8 logits of each picture, by engine; the float ones in steps."""
    record, network = load_network(checkpoint.default())
    calibrator, _ = calibrated(record, network, None)
    files = convert(network, calibrator, record.spec, ("int8.tflite", "int8.onnx"))
    runs = {
        "integer graph": integers(calibrator.convert()),
        "XNNPACK": litert(files["int8.tflite"]),
        "ONNX Runtime": ort(files["int8.onnx"]),
        "reference kernels": litert(files["int8.tflite"], REFERENCE),
        "TensorFlow Lite Micro": tflite_micro(files["int8.tflite"]),
    }
    fitted = [image.fit(image.decode_rgb(d, n), record.spec.preprocess) for n, d in photographs]
    inputs = [(pixels[None] ^ 128).view(np.int8) for pixels in fitted]
    interpreter = Interpreter(model_content=files["int8.tflite"])
    scale, zero_point = interpreter.get_output_details()[0]["quantization"]
    with torch.inference_mode():
        real = [network(pictures(codes).permute(0, 3, 1, 2)).numpy() for codes in inputs]
    found = {name: outputs(run, inputs) for name, run in runs.items()}
    return found | {"float": np.concatenate(real) / scale + zero_point}


@pytest.mark.slow
def test_the_float32_family_gives_equal_logits_of_real_pictures(trained):
    expected = trained["integer graph"]
    assert expected.shape[0] == PICTURES
    np.testing.assert_array_equal(trained["XNNPACK"], expected)
    np.testing.assert_array_equal(trained["ONNX Runtime"], expected)


@pytest.mark.slow
def test_the_gemmlowp_family_differs_at_most_by_the_rounding_of_the_classifier(trained):
    steps = np.abs(trained["reference kernels"] - trained["TensorFlow Lite Micro"])
    assert steps.max() <= 1
    assert np.mean(steps > 0) < 0.01


@pytest.mark.slow
def test_across_the_families_real_pictures_keep_their_class_and_most_logits(trained):
    """One value that rounds otherwise in the first layer moves 4 of 10 logits: int8 networks are
    chaotic in the last bit. So two families are either equal or as far apart as rounding noise
    goes, which is less than what quantization cost.
    """
    ours, theirs = trained["XNNPACK"], trained["TensorFlow Lite Micro"]
    steps = ours - theirs
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= 0.995
    assert np.mean(np.abs(steps) <= 2) >= 0.99
    assert np.sqrt(np.mean(steps**2)) < np.sqrt(np.mean((ours - trained["float"]) ** 2))
