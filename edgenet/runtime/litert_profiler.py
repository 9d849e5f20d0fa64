"""The time of each operator under LiteRT, through the C interface of its shared library.

LiteRT's Python interface has no profiling; the library that its wheel carries does (litert/c in
google-ai-edge/LiteRT: ``litert_compiled_model.h``, ``litert_profiler.h``).  The compiled model runs
the same XNNPACK operators as the interpreter.  A C interface that has changed can end the process,
so call this in a process of its own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

from edgenet.errors import EngineError
from edgenet.runtime.litert import LiteRT

# A row of 'Run Order': kind, start, first, avg ms, %, cdf %, mem KB, times called, name.
_ROW = re.compile(
    r"^\s*(\S.*?)\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+([\d.]+)%\s+[\d.]+%\s+[\d.]+\s+(\d+)\s+\S+:\d+\s*$",
    re.MULTILINE,
)
_TOTAL = re.compile(r"Timings \(microseconds\): count=\d+.*?\b(?:curr|avg)=([\d.e+]+)")
_CPU = 1
# A payload belongs to Python: the library has nothing to free.
_KEEP = ctypes.CFUNCTYPE(None, c_void_p)(lambda payload: None)


class _Layout(ctypes.Structure):
    _fields_ = (("rank", c_uint32), ("dimensions", c_int32 * 8), ("strides", c_uint32 * 8))


class _TensorType(ctypes.Structure):
    # The tail keeps a library whose layout has grown from writing past the end.
    _fields_ = (("element", c_int), ("layout", _Layout), ("tail", c_uint32 * 16))


def operator_times(
    model: Path, *, threads: int, runs: int, warmup_runs: int
) -> list[tuple[str, str, float]]:
    """Kind, name and mean milliseconds of each operator, in the order of execution.

    The clock behind it counts microseconds, so means of few runs are coarse.

    Raises:
        EngineError: this LiteRT does not offer it.
    """
    library = _Library()
    summary = library.profile(model, threads=threads, runs=runs, warmup_runs=warmup_runs)
    found = parse(summary)
    names = _outputs(model)
    if len(names) != len(found):
        names = [""] * len(found)
    return [(kind, name, ms) for (kind, ms), name in zip(found, names, strict=True)]


def parse(summary: str) -> list[tuple[str, float]]:
    """Kind and mean milliseconds of each operator, from the text of ``LiteRtGetProfileSummary``.

    The table rounds times to a microsecond and shares to 0.001 %, so a time is its share of the
    total.

    Raises:
        EngineError: the text has no such table.
    """
    table = summary.partition("Run Order")[2].partition("Top by Computation Time")[0]
    rows = _ROW.findall(table)
    total = _TOTAL.search(summary)
    if not rows or total is None:
        raise EngineError("LiteRT's profile has no table of operators in a form that is known")
    microseconds = float(total[1])
    return [
        (kind.removeprefix("Delegate/"), float(share) / 100 * microseconds / int(calls) / 1000)
        for kind, share, calls in rows
    ]


class _Library:
    """``libLiteRt`` as far as profiling needs it; every call is checked."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("ai_edge_litert")
        folders = (package.submodule_search_locations if package else None) or []
        found = [path for folder in folders for path in Path(folder).glob("libLiteRt.*")]
        if not found:
            raise EngineError("this LiteRT carries no library that can profile")
        self._library = ctypes.CDLL(str(found[0]))
        self._payloads: list[Any] = []

    def call(self, name: str, *arguments: object) -> None:
        try:
            function: Callable[..., int] = getattr(self._library, name)
        except AttributeError:
            raise EngineError(f"this LiteRT cannot profile: it lacks {name}") from None
        status = function(*arguments)
        if status != 0:
            raise EngineError(
                f"LiteRT cannot profile this model: {name} ended with status {status}"
            )

    def made(self, name: str, *arguments: object) -> c_void_p:
        """What a function makes, which it writes to its last argument."""
        handle = c_void_p()
        self.call(name, *arguments, byref(handle))
        return handle

    def profile(self, model: Path, *, threads: int, runs: int, warmup_runs: int) -> str:
        """The summary of ``runs`` inferences of zeros."""
        environment = self.made("LiteRtCreateEnvironment", c_int(0), None)
        loaded = self.made(
            "LiteRtCreateModelFromFile", environment, c_char_p(bytes(model.resolve()))
        )
        options = self.made("LiteRtCreateOptions")
        self.call("LiteRtSetOptionsHardwareAccelerators", options, c_int(_CPU))
        self._add(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._add(options, b"xnnpack", b"num_threads = %d\n" % threads)
        compiled = self.made("LiteRtCreateCompiledModel", environment, loaded, options)
        profiler = self.made("LiteRtCompiledModelGetProfiler", compiled)
        if not profiler:
            raise EngineError("this LiteRT cannot profile: it has no profiler")
        signature = self.made("LiteRtGetModelSignature", loaded, c_size_t(0))
        inputs = (c_void_p * 1)(self._buffer("Input", environment, compiled, signature))
        outputs = (c_void_p * 1)(self._buffer("Output", environment, compiled, signature))
        zero, one = c_size_t(0), c_size_t(1)

        def run(times: int) -> None:
            for _ in range(times):
                self.call("LiteRtRunCompiledModel", compiled, zero, one, inputs, one, outputs)

        run(warmup_runs)
        self.call("LiteRtStartProfiler", profiler)
        run(runs)
        self.call("LiteRtStopProfiler", profiler)
        summary = c_char_p()
        self.call("LiteRtGetProfileSummary", profiler, compiled, byref(summary))
        return (summary.value or b"").decode("utf-8", "replace")

    def _add(self, options: c_void_p, identifier: bytes, toml: bytes) -> None:
        """Add options as the library's own builders do: TOML under an identifier."""
        payload = ctypes.create_string_buffer(toml)
        self._payloads.append(payload)
        opaque = self.made(
            "LiteRtCreateOpaqueOptions",
            c_char_p(identifier),
            ctypes.cast(payload, c_void_p),
            _KEEP,
        )
        self.call("LiteRtAddOpaqueOptions", options, opaque)

    def _buffer(
        self, kind: str, environment: c_void_p, compiled: c_void_p, signature: c_void_p
    ) -> c_void_p:
        """A buffer for the first input or output of the first signature."""
        zero = c_size_t(0)
        tensor = self.made(f"LiteRtGetSignature{kind}TensorByIndex", signature, zero)
        layout = _TensorType()
        self.call("LiteRtGetRankedTensorType", tensor, byref(layout))
        needs = self.made(f"LiteRtGetCompiledModel{kind}BufferRequirements", compiled, zero, zero)
        return self.made(
            "LiteRtCreateManagedTensorBufferFromRequirements", environment, byref(layout), needs
        )


def _outputs(model: Path) -> list[str]:
    """For each operator of the file: its name in TFLite and the shape of its output."""
    session = LiteRT("no-delegate").open(model)
    tensors = session.tensor_specs()
    names = []
    for operator in session.operators():
        tensor = tensors.get(operator.outputs[0])
        shape = "x".join(map(str, tensor.shape[1:])) if tensor else ""
        names.append(f"{operator.name} {shape}".strip())
    return names
