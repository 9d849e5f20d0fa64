"""Why int8 may be slower than float32, from what the machine and the engine tell."""

from __future__ import annotations

from collections.abc import Iterator

from edgenet.environment import Machine
from edgenet.profile.record import Profile, Run, run_title

# One of these is what makes int8 arithmetic faster than float32's on its processor.
_DOT_PRODUCTS = {
    "aarch64": ("asimddp", "i8mm"),
    "armv7l": ("asimddp", "i8mm"),
    "x86_64": ("avx512_vnni", "avx_vnni", "amx_int8"),
}
# Without one of these the engines' kernels are plain C.
_VECTORS = {"armv7l": ("neon", "asimd"), "armv6l": ("neon",)}


def slower_than_float(profile: Profile) -> Iterator[str]:
    """A sentence for each int8 run that took longer than its float32 twin, with what may be why."""
    runs = {(run.variant, run.threads): run for run in profile.runs}
    for (variant, threads), run in runs.items():
        floating = runs.get((variant.replace("int8", "fp32"), threads))
        if floating is None or floating is run:
            continue
        int8_ms, fp32_ms = run.stats["invoke"].p50_ms, floating.stats["invoke"].p50_ms
        if int8_ms > fp32_ms:
            alone = runs.get((variant, 1)), runs.get((floating.variant, 1))
            causes = [*_causes(run, profile.machine), *_threading(run, *alone)]
            may_be = (
                "it may be because " + ", or because ".join(causes)
                if causes
                else "nothing here tells why; --op-profile shows where the time goes"
            )
            yield (
                f"{run_title(variant, threads)}: int8 takes {int8_ms / fp32_ms:.2f} times as long"
                f" as float32 ({int8_ms:.3f} against {fp32_ms:.3f} ms); {may_be}"
            )


def _causes(run: Run, machine: Machine) -> Iterator[str]:
    yield from _instructions(machine)
    yield from _engine(run)
    if machine.cores == 1:
        yield (
            "there is a single core, which the system and the sampling of its state share with the"
            " model"
        )
    if run.throttled:
        yield "the board was slowed down meanwhile"


def _instructions(machine: Machine) -> Iterator[str]:
    features, cpu = set(machine.features), machine.cpu or "this CPU"
    vectors = _VECTORS.get(machine.architecture, ())
    if vectors and not features & set(vectors):
        yield f"{cpu} has no vector instructions (NEON), so the kernels are plain C"
        return
    wanted = _DOT_PRODUCTS.get(machine.architecture, ())
    if wanted and features and not features & set(wanted):
        names = ", ".join(wanted)
        yield f"{cpu} has no int8 dot product ({names}), without which int8 gains little"


def _engine(run: Run) -> Iterator[str]:
    if run.measured.engine == "tflite-runtime":
        yield "tflite-runtime runs parts of int8 models without XNNPACK; ai-edge-litert does not"
    elif run.measured.delegated is False:
        yield (
            "the XNNPACK delegate is missing: the model runs on the interpreter's own kernels;"
            " install ai-edge-litert from its wheel"
        )
    conversions = [
        operator
        for operator in run.operators or ()
        if operator.kind in ("QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE")
    ]
    if len(conversions) > 2:
        share = sum(operator.share for operator in conversions)
        yield (
            f"{len(conversions)} conversions between int8 and float32 are left in the graph"
            f" ({share:.0%} of its time)"
        )


def _threading(run: Run, alone: Run | None, float_alone: Run | None) -> Iterator[str]:
    """Int8 wins on one thread, and loses by waiting for the others."""
    if run.threads == 1 or alone is None or float_alone is None:
        return
    if alone.stats["invoke"].p50_ms < float_alone.stats["invoke"].p50_ms:
        yield (
            f"the work is too little to share among {run.threads} threads (on one thread int8"
            " is faster)"
        )
