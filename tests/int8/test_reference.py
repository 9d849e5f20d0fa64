from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import engines
import numpy as np
import pytest
from networks import Network, random_network

from edgenet import int8, tflite
from edgenet.errors import EngineError, GraphError
from edgenet.runner import Backend, Session
from edgenet.runtime.reference import Reference, ReferenceSession

pytest.importorskip("flatbuffers")

TINY = Path(__file__).parent.parent / "golden/tiny/models/int8.tflite"


def session(data: bytes) -> ReferenceSession:
    return ReferenceSession(int8.build(tflite.read(data, "model")))


def test_every_tensor_of_a_whole_model_is_that_of_tflite_micro():
    data = TINY.read_bytes()
    ours = session(data)
    for picture in np.random.default_rng(0).integers(-128, 128, (3, 1, 16, 16, 3)).astype(np.int8):
        ours.run([picture])
        theirs = engines.micro(data, [picture])
        for index in ours.graph.values:
            np.testing.assert_array_equal(ours.tensor(index), theirs(index))


@pytest.mark.parametrize("seed", range(10))
def test_every_tensor_of_random_networks_is_that_of_tflite_micro(seed):
    network, y = random_network(np.random.default_rng(seed))
    data = network.file(y)
    ours = session(data)
    for picture in network.pictures(3):
        ours.run([picture[np.newaxis]])
        theirs = engines.micro(data, [picture[np.newaxis]])
        for index in ours.graph.values:
            np.testing.assert_array_equal(ours.tensor(index), theirs(index))


def test_the_golden_logits_of_the_tiny_bundle_are_those_of_its_family():
    """XNNPACK made them, which rounds otherwise: the same classes, and logits within two steps."""
    root = TINY.parent.parent
    inputs = np.load(root / "golden/inputs.npy")
    expected = np.load(root / "golden/outputs/int8.tflite.npy").astype(int)
    (found,) = session(TINY.read_bytes()).run([(inputs ^ 128).view(np.int8)])
    assert np.abs(found - expected).max() <= 2


def test_many_pictures_at_once_are_as_one_by_one():
    network, y = random_network(np.random.default_rng(1))
    run = session(network.file(y))
    pictures = network.pictures(5)
    (together,) = run.run([pictures])
    for picture, expected in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(run.run([picture[np.newaxis]])[0][0], expected)


def float_ends() -> tuple[bytes, int]:
    """QUANTIZE, a convolution, DEQUANTIZE."""
    network = Network(np.random.default_rng(2))
    sketch = network.sketch
    y = network.conv(network.input, 4)
    real = sketch.tensor((1, 8, 8, 3), dtype="float32")
    result = sketch.tensor(network.shape(y), dtype="float32")
    (conv,) = sketch.operators
    sketch.operators.clear()
    sketch.operator("QUANTIZE", [real], network.input)
    sketch.operators.append(conv)
    sketch.operator("DEQUANTIZE", [y], result)
    return tflite.write(sketch.model([real], [result])), result


def test_float_ends_quantize_and_dequantize_as_tflite_micro_does():
    data, result = float_ends()
    ours = session(data)
    assert ours.inputs[0].dtype == ours.outputs[0].dtype == "float32"
    scale = ours.graph.values[ours.graph.inputs[0].value].scale
    picture = np.random.default_rng(0).uniform(-5, 5, (1, 8, 8, 3)).astype(np.float32)
    picture[0, 0] = np.float32(scale) * (np.arange(24).reshape(8, 3) - 12 + 0.5)  # halves
    (found,) = ours.run([picture])
    np.testing.assert_array_equal(found, engines.micro(data, [picture])(result))
    assert found.dtype == np.float32


def test_uint8_models_are_run_in_their_own_codes():
    network, y = random_network(np.random.default_rng(4), dtype="uint8")
    data = network.file(y)
    run = session(data)
    assert run.inputs[0].dtype == "uint8"
    picture = network.pictures(3)[2:]
    (found,) = run.run([picture])
    assert found.dtype == np.uint8
    theirs = engines.litert(data, [picture])
    for index in run.graph.values:
        if not any("FULLY" in x.name and x.output == index for x in run.graph.layers):
            np.testing.assert_array_equal(run.tensor(index), theirs(index))
            continue
        break  # LiteRT rounds this one otherwise, and what follows has other inputs


def test_it_is_a_backend_like_the_others():
    backend: Backend = Reference()
    opened: Session = backend.open(TINY, threads=2)
    assert backend.name == "reference"
    assert not opened.delegated
    assert opened.inputs[0].shape == (1, 16, 16, 3)
    assert opened.outputs[0].scale


def test_a_wrong_input_is_named_with_what_is_needed():
    run = session(TINY.read_bytes())
    with pytest.raises(
        ValueError, match=r"is uint8 \(1, 16, 16, 3\); int8 \(1, 16, 16, 3\) is needed"
    ):
        run.run([np.zeros((1, 16, 16, 3), np.uint8)])
    with pytest.raises(ValueError, match="is int8"):
        run.run([np.zeros((1, 8, 8, 3), np.int8)])
    with pytest.raises(ValueError, match="tensor 99 is no activation of the last run"):
        run.tensor(99)


def test_files_that_are_missing_or_wrong_are_refused(tmp_path):
    with pytest.raises(EngineError, match="nothing at"):
        Reference().open(tmp_path / "none.tflite")
    (tmp_path / "bad.tflite").write_bytes(b"not a model")
    with pytest.raises(GraphError, match=r"bad.tflite is not a TFLite model"):
        Reference().open(tmp_path / "bad.tflite")


def test_it_needs_nothing_but_numpy():
    light = (
        "import sys\n"
        "for name in ('ai_edge_litert', 'tflite_runtime', 'flatbuffers', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "from edgenet.runtime.reference import Reference\n"
        "from pathlib import Path\n"
        f"print(Reference().open(Path({str(TINY)!r})).outputs[0].shape)\n"
    )
    run = subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True)
    assert run.stdout == "(1, 6)\n"
