"""What a reader of a profile should know beside its numbers, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from edgenet.environment import Machine
from edgenet.profile.record import Profile, Run, Unmeasured, run_title

# One of these is what makes int8 arithmetic faster than float32's on its processor.
_DOT_PRODUCTS = {
    "aarch64": ("asimddp", "i8mm"),
    "armv7l": ("asimddp", "i8mm"),
    "x86_64": ("avx512_vnni", "avx_vnni", "amx_int8"),
}


def notes(profile: Profile) -> list[str]:
    """Everything that the numbers need said beside them, the most important first."""
    return [
        *_unmeasured(profile),
        *_throttled(profile),
        *_slower_than_float(profile),
        *_conditions(profile),
    ]


def fastest(profile: Profile) -> Run | None:
    """The run with the least median time from picture to answer; None if nothing was measured."""
    return min(profile.runs, key=lambda run: run.stats["total"].p50_ms, default=None)


def title(run: Run | Unmeasured) -> str:
    """What tells a run from the others of its profile."""
    return run_title(run.variant, run.threads)


def _unmeasured(profile: Profile) -> Iterator[str]:
    for missed in profile.unmeasured:
        yield f"{title(missed)} was not measured: {missed.reason}"
    for run in profile.runs:
        if run.operators_reason is not None:
            yield f"{title(run)} has no operator times: {run.operators_reason}"


def _throttled(profile: Profile) -> Iterator[str]:
    for run in profile.runs:
        if run.throttled:
            yield (
                f"{title(run)} ran while the board was slowed down ({', '.join(run.throttled)});"
                " its numbers are not what the board can do: cool it, check its power supply,"
                " measure again"
            )


def _slower_than_float(profile: Profile) -> Iterator[str]:
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
                f"{title(run)}: int8 takes {int8_ms / fp32_ms:.2f} times as long as float32"
                f" ({int8_ms:.3f} against {fp32_ms:.3f} ms); {may_be}"
            )


def _causes(run: Run, machine: Machine) -> Iterator[str]:
    wanted = _DOT_PRODUCTS.get(machine.architecture, ())
    if wanted and machine.features and not set(wanted) & set(machine.features):
        yield (
            f"{machine.cpu or 'this CPU'} has no int8 dot product ({', '.join(wanted)}), without"
            " which int8 gains little"
        )
    if run.measured.engine == "tflite-runtime":
        yield "tflite-runtime runs parts of int8 models without XNNPACK; ai-edge-litert does not"
    conversions = [
        operator
        for operator in run.operators or ()
        if operator.kind in ("QuantizeLinear", "DequantizeLinear")
    ]
    if len(conversions) > 2:
        share = sum(operator.share for operator in conversions)
        yield (
            f"{len(conversions)} conversions between int8 and float32 are left in the graph"
            f" ({share:.0%} of its time)"
        )
    if run.throttled:
        yield "the board was slowed down meanwhile"


def _threading(run: Run, alone: Run | None, float_alone: Run | None) -> Iterator[str]:
    """Int8 wins on one thread, and loses by waiting for the others."""
    if run.threads == 1 or alone is None or float_alone is None:
        return
    if alone.stats["invoke"].p50_ms < float_alone.stats["invoke"].p50_ms:
        yield (
            f"the work is too little to share among {run.threads} threads (on one thread int8"
            " is faster)"
        )


def _conditions(profile: Profile) -> Iterator[str]:
    machine = profile.machine
    first = next((run.states[0] for run in profile.runs if run.states), None)
    if first is None:
        return
    if first.governor and first.governor != "performance":
        yield (
            f"the frequency governor is {first.governor}: clocks follow the load, and short runs"
            " look slower; for figures to compare: echo performance | sudo tee"
            " /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    if first.load is not None and first.load > machine.cores / 2:
        yield (
            f"other programs were running at the start (load {first.load:g} on {machine.cores}"
            " cores): percentiles are worse than on an idle machine"
        )
    if machine.quota is not None and machine.quota < machine.cores:
        yield (
            f"a container limits this process to {machine.quota:g} of {machine.cores} cores; when"
            " the limit is reached, runs stand still for milliseconds"
        )
    greedy = sorted({run.threads for run in profile.runs if run.threads > machine.cores})
    if greedy:
        yield (
            f"{', '.join(map(str, greedy))} threads on {machine.cores} cores wait for one another"
        )
