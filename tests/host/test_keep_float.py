"""Layers that stay float inside the int8 graph, in every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgenet import codegen, tflite, verify
from edgenet import target as targets
from edgenet.bundle import Calibration
from edgenet.errors import ExportError, GraphError, UsageError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import export as exporter
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.integer import IntegerGraph
from edgenet.host.quantize import Calibrator, example_input, stays_float
from edgenet.host.to_onnx import to_onnx
from edgenet.host.to_tflite import to_tflite
from edgenet.runtime.litert import LiteRT
from edgenet.runtime.onnx import OnnxRuntime

V1 = {"side": 32}
V1_KEPT = ("stem", "blocks.2.depthwise", "blocks.2.pointwise", "blocks.4.depthwise", "classifier")
# layers before a residual sum, behind one, and strided ones of symmetric padding
V2 = {"arch": "mobilenet_v2", "alpha": 0.35, "side": 32, "padding": "symmetric"}
V2_KEPT = ("blocks.1.depthwise", "blocks.2.project", "blocks.3.expand", "classifier")


class Mixed:
    """A network with float layers in its int8 graph, as a graph and as both files."""

    def __init__(self, network, spec, kept: tuple[str, ...], folder: Path) -> None:
        self.calibrator = Calibrator(network, spec, keep_float=kept)
        noise = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8)
        self.calibrator.observe([torch.from_numpy(noise).float() / 255])
        self.graph = self.calibrator.convert()
        self.tflite, self.onnx = folder / "int8.tflite", folder / "int8.onnx"
        self.tflite.write_bytes(to_tflite(self.graph, example_input(spec)))
        self.onnx.write_bytes(to_onnx(self.graph, example_input(spec), int8=True))

    def operators(self) -> list[tflite.Operator]:
        return list(tflite.read(self.tflite.read_bytes(), "int8").subgraphs[0].operators)


@pytest.fixture(scope="module")
def mixed(translated, tmp_path_factory) -> Callable[[str], Mixed]:
    made: dict[str, Mixed] = {}

    def make(name: str) -> Mixed:
        if name not in made:
            options, kept = {"v1": (V1, V1_KEPT), "v2": (V2, V2_KEPT)}[name]
            whole = translated(**options)
            folder = tmp_path_factory.mktemp(name)
            made[name] = Mixed(whole.network, whole.spec, kept, folder)
        return made[name]

    return make


NETWORKS = ["v1", pytest.param("v2", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", NETWORKS)
def test_exactly_the_named_layers_have_float_weights(mixed, name):
    kept = {"v1": V1_KEPT, "v2": V2_KEPT}[name]
    graph = tflite.read(mixed(name).tflite.read_bytes(), "int8").subgraphs[0]
    weighted = [one for one in graph.operators if len(one.inputs) == 3]
    types = Counter(graph.tensors[one.inputs[1]].dtype for one in weighted)
    assert types == {"float32": len(kept), "int8": len(weighted) - len(kept)}
    network = onnx.load(mixed(name).onnx).graph
    weights = {one.name: one.data_type for one in network.initializer}
    layers = [node for node in network.node if node.op_type in ("Conv", "Gemm")]
    assert sum(weights.get(node.input[1]) == onnx.TensorProto.FLOAT for node in layers) == len(kept)


def test_floats_pass_from_one_kept_layer_to_the_next(mixed):
    names = Counter(operator.name for operator in mixed("v1").operators())
    # stem, blocks.2, blocks.4.depthwise, classifier: four runs of layers
    assert names["QUANTIZE"] == names["DEQUANTIZE"] == 4
    assert "blocks.2.depthwise" not in mixed("v1").calibrator.observers


@pytest.mark.parametrize("name", NETWORKS)
def test_ends_are_integers_as_in_a_plain_int8_model(mixed, name):
    session = LiteRT().open(mixed(name).tflite)
    takes, gives = session.inputs[0], session.outputs[0]
    assert (takes.dtype, takes.scale, takes.zero_point) == ("int8", (np.float32(1 / 255),), (-128,))
    assert (gives.dtype, gives.shape) == ("int8", (1, 10))
    signature = tflite.read(mixed(name).tflite.read_bytes(), "int8").signatures[0]
    assert list(signature.inputs.values()) == [session._input_indices[0]]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_engine_answers_as_the_integer_graph_but_for_ties(mixed, name):
    one = mixed(name)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    expected = IntegerGraph(one.graph).codes(torch.from_numpy(pixels).float() / 255).numpy()
    litert, onnx_runtime = LiteRT().open(one.tflite), OnnxRuntime().open(one.onnx)
    mine = np.concatenate([litert.run([(p[None] ^ 128).view(np.int8)])[0] for p in pixels])
    theirs = np.concatenate([onnx_runtime.run([p[None]])[0] for p in pixels]) ^ 128
    for found in (mine, theirs.view(np.int8)):
        steps = np.abs(found.astype(int) - expected)
        # engines sum floats in another order, so a sum near the middle may fall on either side,
        # and an untrained network carries that step on
        assert (steps > 0).mean() < 0.1
        assert steps.max() <= 6


def test_onnx_runtime_leaves_the_weights_float(mixed, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(mixed("v1").onnx, options, providers=["CPUExecutionProvider"])
    nodes = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert nodes["QLinearConv"] == 27 - 4
    assert nodes["Conv"] + nodes["FusedConv"] == 4


def test_keeping_every_layer_gives_the_float_network_but_for_its_ends(translated):
    whole = translated(**V1)
    names = [name for name in Calibrator(whole.network, whole.spec).observers if name != "pool"]
    calibrator = Calibrator(whole.network, whole.spec, keep_float=names)
    noise = torch.rand(4, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    calibrator.observe([noise])
    found = IntegerGraph(calibrator.convert()).logits(noise)
    with torch.inference_mode():
        expected = whole.network(noise.permute(0, 3, 1, 2))
    low, high = calibrator.ranges()["classifier"]
    assert (found - expected).abs().max() < 4 * (high - low) / 255


def test_a_layer_that_the_network_lacks_is_refused_with_those_it_has(translated):
    whole = translated(**V1)
    with pytest.raises(UsageError, match=r"no layer with weights 'blocks\.99.*classifier, stem\)"):
        Calibrator(whole.network, whole.spec, keep_float=["blocks.99.depthwise"])
    with pytest.raises(UsageError, match="no layer with weights 'pool'"):
        Calibrator(whole.network, whole.spec, keep_float=["pool"])


def test_no_layer_kept_is_the_plain_int8_graph(translated):
    assert not stays_float(translated(**V1).int8_graph)
    assert not stays_float(translated(**V1).network)


def test_generated_c_refuses_float_layers(mixed):
    with pytest.raises(GraphError, match="float"):
        codegen.read(mixed("v1").tflite.read_bytes(), "int8.tflite")


@pytest.fixture(scope="module")
def kept(translated, tmp_path_factory) -> Path:
    """A checkpoint whose int8 graph keeps its classifier float."""
    folder = tmp_path_factory.mktemp("checkpoint")
    whole = translated(**V1)
    calibrator = Calibrator(whole.network, whole.spec, keep_float=["classifier"])
    calibrator.observe([torch.rand(4, 32, 32, 3, generator=torch.Generator().manual_seed(0))])
    calibration = CalibrationRecord(
        record=Calibration("noise", 4, 0, "minmax", ()),
        ranges=calibrator.ranges(),
        keep_float=("classifier",),
    )
    record = Checkpoint(spec=whole.spec, calibration=calibration)
    checkpoints.save(folder, record, whole.network.state_dict())
    return folder


def test_a_bundle_says_which_layers_are_float_and_verifies(kept, tmp_path):
    made = exporter.export(kept, targets.load("rpi"), tmp_path / "bundle")
    assert made.manifest.schema == 3
    assert made.manifest.calibration.keep_float == ("classifier",)
    assert made.record("int8.tflite").rounding == "mixed"
    assert made.record("fp32.tflite").rounding == "float"
    found = {check.stage: check.status for check in verify.verify(made)}
    assert set(found.values()) <= {"equal", "within tolerance"}
    # plain kernels round otherwise, and sum otherwise
    for check in verify.verify(made, resolver="reference"):
        assert check.status in ("equal", "within tolerance"), check


@pytest.mark.parametrize("name", ["mcu", "coral"])
def test_targets_of_int8_alone_refuse_float_layers(kept, tmp_path, name):
    with pytest.raises(ExportError, match=f"keeps classifier in float, and target {name} computes"):
        exporter.export(kept, targets.load(name), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_int16x8_is_refused_where_layers_stay_float(kept, tmp_path):
    with pytest.raises(ExportError, match=r"layers that stay float.*leave int16x8 out"):
        exporter.export(kept, targets.load("rpi"), tmp_path / "bundle", quantize=("int16x8",))
    assert not (tmp_path / "bundle").exists()
