"""TensorFlow Lite models on LiteRT, or on its predecessor tflite-runtime where it has no wheel."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import numpy as np

from edgenet.errors import EngineError, MissingPackage, UsageError, nothing_at, unknown
from edgenet.runner import Array
from edgenet.runtime.quiet import quiet
from edgenet.spec import TensorSpec

Resolver = Literal["auto", "reference", "no-delegate"]

_OP_RESOLVER_TYPE: dict[Resolver, str] = {
    "auto": "AUTO",
    "reference": "BUILTIN_REF",
    "no-delegate": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a model, in the order of execution; -1 stands for an absent input."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class LiteRT:
    """Opens .tflite files.

    Args:
        resolver: ``auto`` runs on XNNPACK, ``no-delegate`` on the built-in optimized kernels,
            ``reference`` on the plain kernels that TensorFlow Lite Micro's are equal to.
        preserve_all: keep every intermediate tensor, so that ``Session.tensor`` can read it.

    Raises:
        UsageError: there is no such resolver.
    """

    name = "litert"

    def __init__(self, resolver: Resolver = "auto", *, preserve_all: bool = False) -> None:
        if resolver not in get_args(Resolver):
            raise UsageError(unknown("resolver", resolver, get_args(Resolver)))
        self.resolver = resolver
        self.preserve_all = preserve_all

    def open(self, model: Path, *, threads: int = 1) -> LiteRTSession:
        """Load a model and plan its memory.

        Raises:
            EngineError: the file is missing, malformed, or holds what the engine cannot run.
            MissingPackage: neither package is installed.
            ValueError: threads is below 1.
        """
        if threads < 1:
            raise ValueError(f"threads is {threads}; at least 1 is needed")
        if not model.is_file():
            raise EngineError(nothing_at(model))
        module, package = engine()
        resolver = module.OpResolverType[_OP_RESOLVER_TYPE[self.resolver]]
        try:
            with quiet(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that preserving tensors takes memory
                interpreter = module.Interpreter(
                    model_path=str(model),
                    num_threads=threads,
                    experimental_op_resolver_type=resolver,
                    experimental_preserve_all_tensors=self.preserve_all,
                )
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            if "edgetpu-custom-op" in reason:
                raise EngineError(
                    f"{model} is compiled for the Edge TPU, and no CPU runs it; run the .tflite"
                    " that it was compiled from"
                ) from error
            raise EngineError(f"{model}: {package} cannot run it ({reason})") from error
        return LiteRTSession(interpreter)


class LiteRTSession:
    """One model that LiteRT has loaded."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        self._input_indices = [detail["index"] for detail in inputs]
        self._output_indices = [detail["index"] for detail in outputs]
        self._first_input = interpreter.tensor(self._input_indices[0])
        self.inputs: tuple[TensorSpec, ...] = tuple(map(_tensor_spec, inputs))
        self.outputs: tuple[TensorSpec, ...] = tuple(map(_tensor_spec, outputs))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run the model on one array for each input; the outputs are copies.

        Raises:
            ValueError: an array's shape or type is not the input's.
        """
        for index, value in zip(self._input_indices, inputs, strict=True):
            self._interpreter.set_tensor(index, value)
        return self.invoke()

    def input_memory(self) -> Array:
        """The first input's own memory, to be written to and let go of before ``invoke``."""
        memory: Array = self._first_input()
        return memory

    def invoke(self) -> list[Array]:
        """Run the model on what its inputs hold; the outputs are copies.

        Raises:
            RuntimeError: somebody still holds ``input_memory``.
        """
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._output_indices]

    def tensor(self, index: int) -> Array:
        """Copy any tensor after ``run``; an intermediate one needs ``preserve_all``.

        Raises:
            ValueError: there is no such tensor, or its memory was not kept.
        """
        value: Array = self._interpreter.get_tensor(index)
        return value

    def tensor_specs(self) -> dict[int, TensorSpec]:
        """Every tensor of the model by index, constants included."""
        return {
            detail["index"]: _tensor_spec(detail)
            for detail in self._interpreter.get_tensor_details()
            if detail["name"] and np.dtype(detail["dtype"]).name in _DTYPES
        }

    @property
    def delegated(self) -> bool:
        """Whether XNNPACK runs the model, or at least a part of it."""
        return any(detail["op_name"] == "DELEGATE" for detail in self._operator_details())

    def operators(self) -> tuple[Operator, ...]:
        """The model's own operators, in the order of execution."""
        return tuple(
            Operator(
                detail["op_name"],
                tuple(int(i) for i in detail["inputs"]),
                tuple(int(i) for i in detail["outputs"]),
            )
            for detail in self._operator_details()
            if detail["op_name"] != "DELEGATE"
        )

    def _operator_details(self) -> list[dict[str, Any]]:
        details: list[dict[str, Any]] = (
            self._interpreter._get_ops_details()
        )  # there is no other way
        return details


@cache
def engine() -> tuple[ModuleType, str]:
    """The interpreter's module, and its package with version: ``ai-edge-litert 2.1.0``.

    Raises:
        EngineError: the package that is there cannot be loaded.
        MissingPackage: neither package is installed.
    """
    for package, name in (
        ("ai-edge-litert", "ai_edge_litert"),
        ("tflite-runtime", "tflite_runtime"),
    ):
        if importlib.util.find_spec(name) is None:
            continue
        version = f"{package} {_version(package)}"
        if name == "tflite_runtime" and int(np.__version__.split(".")[0]) >= 2:
            raise EngineError(
                f"{version} was built for numpy 1 and crashes with numpy {np.__version__};"
                " run: pip install ai-edge-litert (where that has no wheel: pip install 'numpy<2')"
            )
        try:
            with quiet():
                return importlib.import_module(f"{name}.interpreter"), version
        except ImportError as error:
            raise EngineError(
                f"{version} is installed but does not load ({error});"
                f" run: pip install --force-reinstall {package}"
            ) from error
    raise MissingPackage("LiteRT", "litert", needed_for="running a .tflite model")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(version unknown)"


_DTYPES = ("float32", "int8", "uint8", "int16", "int32")


def _tensor_spec(detail: Mapping[str, Any]) -> TensorSpec:
    dtype = np.dtype(detail["dtype"]).name
    if dtype not in _DTYPES:
        raise EngineError(
            f"tensor {detail['name']!r} is {dtype}; one of {', '.join(_DTYPES)} is needed"
        )
    quantization = detail["quantization_parameters"]
    scale = tuple(float(value) for value in quantization["scales"])
    return TensorSpec(
        name=detail["name"],
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=dtype,
        scale=scale,
        zero_point=tuple(int(value) for value in quantization["zero_points"]),
        axis=int(quantization["quantized_dimension"]) if len(scale) > 1 else None,
    )
