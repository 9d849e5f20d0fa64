"""The benchmark networks: of the published size, and equal to other engines in every tensor."""

from __future__ import annotations

import engines
import numpy as np
import pytest
from benchmark_networks import MACS, NETWORKS

from edgenet import int8, tflite
from edgenet.codegen import emit
from edgenet.codegen.native import Library
from edgenet.codegen.program import program
from edgenet.int8 import graph as g
from edgenet.runtime.reference import ReferenceSession

pytest.importorskip("flatbuffers")

NIGHTLY = (pytest.mark.slow, pytest.mark.nightly)
EACH = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[*NIGHTLY, pytest.mark.torch] if "net_v1" in name else [])
        for name in NETWORKS
    ],
)


@pytest.fixture(scope="module")
def networks():
    """By name: the .tflite with its constants inside the flatbuffer, where all engines find them.

    Weights behind it, as of models above some size, are nothing to TensorFlow Lite Micro, which
    computes something else without a word.
    """
    made = {}

    def network(name):
        if name not in made:
            made[name] = tflite.write(tflite.read(NETWORKS[name](), name))
        return made[name]

    return network


@pytest.fixture(scope="module")
def tensors(networks):
    """Model, graph, picture and TensorFlow Lite Micro's tensors of a network."""
    found = {}

    def of(name):
        if name not in found:
            data = networks(name)
            graph = int8.build(tflite.read(data, name))
            (port,) = graph.inputs
            rng = np.random.default_rng(1)
            codes = rng.integers(-128, 128, graph.values[port.value].shape).astype(np.int8)
            found[name] = data, graph, codes, engines.micro(data, [codes])
        return found[name]

    return of


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=NIGHTLY if "net_v1" in n else []) for n in MACS]
)
def test_networks_are_of_the_published_size(name, networks):
    if "net_v1" in name:
        pytest.importorskip("torch")
    made = program(networks(name), name, elimination=False)
    assert made.elimination.macs == MACS[name]


@EACH
def test_every_tensor_is_that_of_tflm(name, tensors):
    _, graph, codes, theirs = tensors(name)
    session = ReferenceSession(graph)
    session.run([codes])
    for layer in graph.layers:
        ours = session.tensor(layer.output)
        np.testing.assert_array_equal(ours, theirs(layer.output), err_msg=layer.name)
    spread = [len(np.unique(session.tensor(layer.output))) for layer in graph.layers[:-5]]
    assert min(spread) > 50, "codes that hardly differ prove little"


@EACH
@pytest.mark.tool("cc")
def test_every_layer_of_the_c_is_that_of_tflm(name, tensors, tmp_path):
    data, graph, codes, theirs = tensors(name)
    made = program(data, name, elimination=False)
    emit.write(made, tmp_path / "c")
    (output,), layers = Library(tmp_path / "c", tmp_path / "build").run((codes,))
    np.testing.assert_array_equal(output, theirs(graph.outputs[0].value).ravel())
    for layer, found in zip(made.layers, layers, strict=True):
        np.testing.assert_array_equal(
            found, theirs(layer.layer.output).ravel(), err_msg=layer.layer.name
        )


@EACH
@pytest.mark.tool("cc")
def test_the_c_gives_the_same_without_its_dead_channels(name, tensors, tmp_path):
    data, graph, codes, theirs = tensors(name)
    made = program(data, name)
    emit.write(made, tmp_path / "c")
    (output,), _ = Library(tmp_path / "c", tmp_path / "build").run((codes,))
    np.testing.assert_array_equal(output, theirs(graph.outputs[0].value).ravel())


@EACH
def test_every_tensor_is_that_of_litert_but_behind_fully_connected(name, tensors):
    """LiteRT's reference kernel of FULLY_CONNECTED rounds once, in double precision, where TFLM
    rounds twice: by a step at most.  What follows it has that step in its inputs.
    """
    data, graph, codes, theirs = tensors(name)
    litert = engines.litert(data, [codes])
    behind = set()
    for layer in graph.layers:
        ours, others = theirs(layer.output), litert(layer.output)
        if behind & set(layer.inputs):
            behind.add(layer.output)
        elif isinstance(layer, g.FullyConnected):
            assert np.abs(ours.astype(int) - others).max() <= 1
            behind.add(layer.output)
        else:
            np.testing.assert_array_equal(ours, others, err_msg=layer.name)
    assert len(behind) <= 3
