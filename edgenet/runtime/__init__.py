"""What executes a model: an engine is chosen by the model's format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgenet.bundle import Rounding
from edgenet.errors import EngineError, MissingPackage
from edgenet.runner import Array, Backend, Session
from edgenet.runtime import edgetpu, litert, onnx
from edgenet.runtime.edgetpu import EdgeTpu, EdgeTpuSession
from edgenet.runtime.litert import LiteRT, LiteRTSession, Resolver
from edgenet.runtime.onnx import OnnxRuntime
from edgenet.spec import COMPILED_FROM, TensorSpec, Variant

_ENGINES: Mapping[str, Callable[[], tuple[ModuleType, str]]] = {
    LiteRT.name: litert.engine,
    OnnxRuntime.name: onnx.engine,
    EdgeTpu.name: edgetpu.engine,
}
NAMES = tuple(_ENGINES)


def backend_for(variant: Variant, *, resolver: Resolver = "auto") -> Backend:
    """The engine that opens a variant's file; that it is installed shows when it opens one.

    Args:
        variant: of a bundle.
        resolver: the kernels of LiteRT; other engines have one set.
    """
    if variant in COMPILED_FROM:
        return EdgeTpu()
    return LiteRT(resolver) if variant.endswith(".tflite") else OnnxRuntime()


def engine(variant: Variant) -> tuple[ModuleType, str]:
    """The module of the engine that opens a variant, loaded, and its package with version.

    Raises:
        EngineError: the engine cannot be loaded here.
        MissingPackage: it is not installed, nor is the library that drives a device.
    """
    return _ENGINES[backend_for(variant).name]()


def check(variant: Variant) -> str:
    """The package and version of the engine that opens a variant; raises as ``engine`` does."""
    return engine(variant)[1]


@runtime_checkable
class OwnSession(Protocol):
    """A session of an engine that is no library: it says itself what runs it, and how it rounds."""

    engine: str
    rounding: Rounding


def describe(variant: Variant, session: Session) -> str:
    """What runs a session, with its version; raises as ``engine`` does."""
    return session.engine if isinstance(session, OwnSession) else check(variant)


def lacking(name: str) -> str:
    """Why an engine cannot be used here, in a sentence; empty where it can.

    Args:
        name: one of ``NAMES``.
    """
    try:
        _ENGINES[name]()
    except (EngineError, MissingPackage) as error:
        return str(error)
    return ""


def available() -> dict[str, str]:
    """Each engine's package and version, or the sentence that says why it is missing."""
    return {name: lacking(name) or found()[1] for name, found in _ENGINES.items()}


def rounding(session: Session) -> Rounding:
    """The family of integer arithmetic that a session's engine belongs to.

    XNNPACK and ONNX Runtime scale int32 sums in float32 and round half to even; TensorFlow Lite's
    own kernels scale them in integers and round twice, but once where activations are int16; the
    Edge TPU's arithmetic is not published.
    """
    if isinstance(session, EdgeTpuSession):
        return "edgetpu"
    if isinstance(session, OwnSession):
        return session.rounding
    if isinstance(session, LiteRTSession) and not session.delegated:
        return "int16x8" if session.inputs[0].dtype == "int16" else "gemmlowp-double"
    return "float32-half-even"


def dequantize(values: Array, tensor: TensorSpec) -> NDArray[np.float32]:
    """The real values of a tensor: scale * (q - zero_point) in float32, or a float tensor's own.

    Raises:
        ValueError: the tensor is of integers and has no scale.
    """
    if tensor.dtype == "float32":
        return values.astype(np.float32, copy=False)
    if not tensor.scale:
        raise ValueError(f"tensor {tensor.name!r} is {tensor.dtype} without a scale")
    shape = [1] * values.ndim
    shape[tensor.axis or 0] = -1
    scale = np.asarray(tensor.scale, np.float32).reshape(shape)
    zero_point = np.asarray(tensor.zero_point, np.int32).reshape(shape)
    return scale * (values.astype(np.int32) - zero_point).astype(np.float32)
