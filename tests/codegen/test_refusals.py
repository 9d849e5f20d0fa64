"""What no C is made of is refused in one sentence, before anything is run or written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from networks import Network

from edgenet.cli.main import main
from edgenet.codegen.program import program
from edgenet.errors import GraphError

pytest.importorskip("flatbuffers")
TINY = Path(__file__).parents[1] / "golden" / "tiny"


def bundle(model: Path, folder: Path):
    words = ["bundle", model, "--labels", TINY / "labels.txt", "--target", "mcu", "-o", folder]
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_float_model_is_called_float(tmp_path):
    model = TINY / "models" / "fp32.tflite"
    with pytest.raises(GraphError, match=r"^net: operator \w+ 0, tensor 0 .* is float32, which"):
        program(model.read_bytes(), "net")
    done = bundle(model, tmp_path / "made")
    assert done.exit_code == 1
    assert f"{model}: operator " in done.output
    assert "is float32, which has no int8 form here; quantize the model" in done.output
    assert not list(tmp_path.iterdir())


def test_an_operator_that_is_not_supported_is_named_with_its_tensor(tmp_path):
    drawn = Network(np.random.default_rng(0))
    y = drawn.fully_connected(drawn.conv(drawn.input, 4), 6, dead=False)
    shape = drawn.shape(y)
    y = drawn.sketch.operator("HARD_SWISH", [y], drawn._value(shape))
    model = tmp_path / "swish.tflite"
    model.write_bytes(drawn.file(y))
    done = bundle(model, tmp_path / "made")
    assert done.exit_code == 1
    assert f"{model}: operator HARD_SWISH 2, tensor {y} 't{y}', cannot be computed" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["swish.tflite"]
