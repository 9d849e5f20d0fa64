"""The engines that int8 arithmetic is compared with, each tensor readable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edgenet import int8, tflite
from edgenet.runtime.reference import ReferenceSession

Inputs = Sequence[np.ndarray]
Tensors = Callable[[int], np.ndarray]


def reference(data: bytes, inputs: Inputs) -> Tensors:
    session = ReferenceSession(int8.build(tflite.read(data, "sketch")))
    session.run(inputs)
    return session.tensor


def micro(data: bytes, inputs: Inputs) -> Tensors:
    """TensorFlow Lite Micro, with its reference kernels."""
    runtime = pytest.importorskip("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(
        data,
        arena_size=8 * len(data) + (1 << 18),
        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
    )
    for index, values in enumerate(inputs):
        interpreter.set_input(values, index)
    interpreter.invoke()
    return lambda index: interpreter.GetTensor(index, 0)["tensor_data"]


def litert(data: bytes, inputs: Inputs, resolver: str = "BUILTIN_REF") -> Tensors:
    """LiteRT, with its reference kernels, or with XNNPACK where the resolver is AUTO."""
    module = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = module.Interpreter(
        model_content=data,
        num_threads=1,
        experimental_op_resolver_type=module.OpResolverType[resolver],
        experimental_preserve_all_tensors=resolver != "AUTO",
    )
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor
