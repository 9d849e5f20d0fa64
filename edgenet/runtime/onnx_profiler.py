"""The time of each operator under ONNX Runtime, from the trace that it writes."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgenet.errors import EngineError
from edgenet.runtime.onnx import OnnxSession, engine, session_options


def operator_times(
    model: Path, *, threads: int, runs: int, warmup_runs: int
) -> list[tuple[str, str, float]]:
    """Kind, name and mean milliseconds of each operator, in the order of execution.

    Raises:
        EngineError: the trace is not in a form that is known.
    """
    module, _ = engine()
    with TemporaryDirectory(prefix="edgenet-") as folder:
        options = session_options(module, threads=threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "trace"))
        session = module.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        inputs = OnnxSession(session).inputs
        feed = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in inputs}
        for _ in range(warmup_runs + runs):
            session.run(None, feed)
        trace = Path(session.end_profiling()).read_bytes()
    return parse(trace, warmup_runs=warmup_runs)


def parse(trace: bytes, *, warmup_runs: int = 0) -> list[tuple[str, str, float]]:
    """Kind, name and mean milliseconds of each operator in a trace.

    Args:
        trace: the JSON of ``InferenceSession.end_profiling``.
        warmup_runs: inferences at its start to leave out.

    Raises:
        EngineError: it holds no operators.
    """
    calls: dict[tuple[str, str], list[float]] = defaultdict(list)
    events: list[dict[str, Any]] = json.loads(trace)
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            kind = str(event["args"]["op_name"])
            calls[kind, name.removesuffix("_kernel_time")].append(float(event["dur"]))
    found = [(kind, name, times[warmup_runs:]) for (kind, name), times in calls.items()]
    if not found or not all(times for _, _, times in found):
        raise EngineError("ONNX Runtime's trace has no operators in a form that is known")
    return [(kind, name, float(np.mean(times)) / 1000) for kind, name, times in found]
