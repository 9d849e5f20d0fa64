"""ONNX models on ONNX Runtime's CPU kernels."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from edgenet.errors import EngineError, MissingPackage, nothing_at
from edgenet.runner import Array
from edgenet.runtime.quiet import quiet
from edgenet.spec import TensorSpec

QUANTIZATION_KEY = "edgenet.quantization"

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
}


class Quantization(msgspec.Struct, frozen=True):
    """Scale and zero point of one input or output.

    An ONNX file says only the type of its ends, so edgenet's exporter writes these as JSON, by
    tensor name, into the model's metadata under ``QUANTIZATION_KEY``.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]


class OnnxRuntime:
    """Opens .onnx files."""

    name = "onnxruntime"

    def open(self, model: Path, *, threads: int = 1) -> OnnxSession:
        """Load and optimize a model.

        Raises:
            EngineError: the file is missing, malformed, or holds what the engine cannot run.
            MissingPackage: ONNX Runtime is not installed.
            ValueError: threads is below 1.
        """
        if threads < 1:
            raise ValueError(f"threads is {threads}; at least 1 is needed")
        if not model.is_file():
            raise EngineError(nothing_at(model))
        module, package = engine()
        options = session_options(module, threads=threads)
        try:
            with quiet():
                session = module.InferenceSession(
                    str(model), options, providers=["CPUExecutionProvider"]
                )
        except _failures(module) as error:
            reason = " ".join(str(error).split()).rpartition("failed:")[2]
            raise EngineError(f"{model}: {package} cannot run it ({reason})") from error
        return OnnxSession(session)


class OnnxSession:
    """One model that ONNX Runtime has loaded."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._invalid = engine()[0].capi.onnxruntime_pybind11_state.InvalidArgument
        found = session.get_modelmeta().custom_metadata_map.get(QUANTIZATION_KEY, "{}")
        quantization = msgspec.json.decode(found, type=dict[str, Quantization])
        self.inputs = tuple(_tensor_spec(end, quantization) for end in session.get_inputs())
        self.outputs = tuple(_tensor_spec(end, quantization) for end in session.get_outputs())
        self._names = [end.name for end in self.inputs]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run the model on one array for each input.

        Raises:
            ValueError: an array's shape or type is not the input's.
        """
        feed = dict(zip(self._names, inputs, strict=True))
        try:
            outputs: list[Array] = self._session.run(None, feed)
        except self._invalid as error:
            raise ValueError(" ".join(str(error).split())) from error
        return outputs


def session_options(module: ModuleType, *, threads: int) -> Any:
    """Options under which int8 models give the same logits on every CPU.

    On x86 without VNNI the default kernels add two products in 16 bits, which saturate, since
    255 * 127 * 2 is more than 32,767. The slower kernels that the option picks do not.
    """
    options = module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if platform.machine().lower() in ("x86_64", "amd64") and "vnni" not in _cpu_flags():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _cpu_flags() -> str:
    """What Linux says that the CPU can do; empty elsewhere, where it is then taken to do less."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


@cache
def engine() -> tuple[ModuleType, str]:
    """The onnxruntime module, and its package with version.

    Raises:
        EngineError: the package is there but cannot be loaded.
        MissingPackage: it is not installed.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingPackage("ONNX Runtime", "onnx", needed_for="running a .onnx model")
    try:
        with quiet():
            module = importlib.import_module("onnxruntime")
            module.set_default_logger_severity(4)
    except ImportError as error:
        raise EngineError(
            f"onnxruntime is installed but does not load ({error});"
            " run: pip install --force-reinstall onnxruntime"
        ) from error
    return module, f"onnxruntime {module.__version__}"


def _failures(module: ModuleType) -> tuple[type[Exception], ...]:
    """Every exception that ONNX Runtime defines; they share no base of their own."""
    state = module.capi.onnxruntime_pybind11_state
    return tuple(
        kind
        for kind in vars(state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    )


def _tensor_spec(end: Any, quantization: dict[str, Quantization]) -> TensorSpec:
    if end.type not in _DTYPES:
        raise EngineError(f"{end.name!r} is {end.type}; one of {', '.join(_DTYPES)} is needed")
    known = quantization.get(end.name, Quantization((), ()))
    return TensorSpec(
        name=end.name,
        shape=tuple(size if isinstance(size, int) else 1 for size in end.shape),
        dtype=_DTYPES[end.type],  # type: ignore[arg-type]
        scale=known.scale,
        zero_point=known.zero_point,
    )
