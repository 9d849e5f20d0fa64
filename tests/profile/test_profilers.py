"""What is read from the engines' own profiles; the texts are theirs, shortened."""

from __future__ import annotations

import json

import pytest

from edgenet.bundle import Bundle
from edgenet.errors import EngineError
from edgenet.runtime import litert_profiler, onnx_profiler

# LiteRT 2.3.0, LiteRtGetProfileSummary, MobileNetV1 0.25 at 96 pixels, 20 runs, two of its rows.
SUMMARY = """\
================================ Run Order ================================
          [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
  Delegate/Convolution (NHWC, QC8) IGEMM      0.000      0.097      0.119    46.529%    46.529%      0.000             20   [Delegate]:0
  Delegate/Fully Connected (NC, QS8, QC8W) GEMM      0.000      0.038      0.038    14.863%    71.039%      0.000             20   [Delegate]:2
          TRANSPOSE      0.012      0.004      0.003    1.000%    72.039%      0.000             20   [StatefulPartitionedCall:0]:3

========================= Top by Computation Time =========================
          [node type]    [start]    [first]   [avg ms]        [%]     [cdf%]   [mem KB] [times called]   [Name]
  Delegate/Convolution (NHWC, QC8) IGEMM      0.000      0.097      0.119    46.529%    46.529%      0.000             20   [Delegate]:0

Number of nodes executed: 29

Timings (microseconds): count=29 curr=5100
Memory (bytes): count=0
29 nodes observed
"""  # noqa: E501


def test_litert_summary_is_read_in_the_order_of_execution() -> None:
    found = litert_profiler.parse(SUMMARY)
    assert [kind for kind, _ in found] == [
        "Convolution (NHWC, QC8) IGEMM",
        "Fully Connected (NC, QS8, QC8W) GEMM",
        "TRANSPOSE",
    ]
    assert found[0][1] == pytest.approx(0.46529 * 5.1 / 20)
    assert found[0][1] == pytest.approx(0.119, abs=5e-4)
    assert found[1][1] == pytest.approx(0.038, abs=5e-4)


@pytest.mark.parametrize("text", ["", "no table here", SUMMARY.partition("Timings")[0]])
def test_a_litert_summary_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="no table of operators"):
        litert_profiler.parse(text)


def event(name: str, kind: str, dur: int, cat: str = "Node") -> dict[str, object]:
    return {"cat": cat, "name": f"{name}_kernel_time", "dur": dur, "args": {"op_name": kind}}


def test_onnx_runtimes_trace_is_averaged_without_its_warmup() -> None:
    trace = [
        {"cat": "Session", "name": "model_run", "dur": 900, "args": {}},
        event("conv1", "QLinearConv", 500),
        event("fc", "QGemm", 90),
        {"cat": "Node", "name": "conv1_fence_before", "dur": 7, "args": {"op_name": "QLinearConv"}},
        event("conv1", "QLinearConv", 100),
        event("fc", "QGemm", 10),
        event("conv1", "QLinearConv", 200),
        event("fc", "QGemm", 20),
    ]
    found = onnx_profiler.parse(json.dumps(trace).encode(), warmup_runs=1)
    assert found == [("QLinearConv", "conv1", 0.15), ("QGemm", "fc", 0.015)]


@pytest.mark.parametrize("trace", ["[]", '[{"cat": "Session", "name": "model_run"}]'])
def test_a_trace_without_operators_is_refused(trace: str) -> None:
    with pytest.raises(EngineError, match="no operators"):
        onnx_profiler.parse(trace.encode())


def test_onnx_runtimes_real_trace_names_convolutions(tiny: Bundle) -> None:
    found = onnx_profiler.operator_times(tiny.model("fp32.onnx"), threads=1, runs=3, warmup_runs=1)
    assert "Conv" in {kind for kind, _, _ in found}
    assert all(ms > 0 for _, _, ms in found)
