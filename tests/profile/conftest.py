from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from loopback import Sshd, device, sshd

from edgenet.bundle import Bundle
from edgenet.environment import Machine, State, throttling
from edgenet.profile.record import (
    Measurement,
    Memory,
    Operator,
    Profile,
    Run,
    Settings,
    Stage,
    Unmeasured,
)
from edgenet.profile.statistics import summarize
from edgenet.profile.sustained import Sustained, Timeline, Window

__all__ = ["Sshd", "device", "sshd"]

TINY = Path(__file__).parent.parent / "golden" / "tiny"

MakeRun = Callable[..., Run]
MakeProfile = Callable[..., Profile]
MakeSustained = Callable[..., Sustained]

PI5 = Machine(
    board="Raspberry Pi 5 Model B Rev 1.0",
    cpu="4x Cortex-A76",
    architecture="aarch64",
    cores=4,
    quota=None,
    features=("asimd", "asimddp"),
    memory=8 * 2**30,
    virtual=False,
    max_mhz=2400.0,
    os="Debian GNU/Linux 13 (trixie)",
    kernel="6.12.0",
    python="3.13.5",
    packages={"edgenet": "0.1.0", "torch": None},
)


@pytest.fixture
def tiny() -> Bundle:
    """A real bundle with four real models."""
    return Bundle.open(TINY)


@pytest.fixture
def make_run() -> MakeRun:
    """A run whose invoke samples are given; preprocess takes 1 ms and postprocess 0.5 ms."""

    def make(
        variant: str = "int8.tflite",
        threads: int = 1,
        invoke: Sequence[float] = (2.0, 3.0, 4.0),
        *,
        states: Sequence[State] = (State(-1.0), State(1.0)),
        throttled: tuple[str, ...] | None = (),
        operators: tuple[Operator, ...] | None = None,
        **changes: Any,
    ) -> Run:
        samples: dict[Stage, tuple[float, ...]] = {
            "preprocess": (1.0,) * len(invoke),
            "invoke": tuple(invoke),
            "postprocess": (0.5,) * len(invoke),
            "total": tuple(ms + 1.6 for ms in invoke),
        }
        engine = "onnxruntime" if variant.endswith("onnx") else "ai-edge-litert"
        measured: dict[str, Any] = {
            "engine": engine,
            "engine_version": "2.3.0",
            "import_ms": 20.0,
            "init_ms": 6.5,
            "first_ms": 9.25,
            "warmup_avg_ms": 2.75,
            "samples": samples,
            "started_s": tuple(0.01 * index for index in range(len(invoke))),
            "memory": Memory(60_000_000, 70_000_000, 75_728_640),
        }
        return Run(
            variant=variant,
            threads=threads,
            model_bytes=974_444,
            measured=Measurement(**measured | changes),
            stats={stage: summarize(times) for stage, times in samples.items()},
            states=tuple(states),
            throttled=throttled,
            operators=operators,
        )

    return make


@pytest.fixture
def make_profile(make_run: MakeRun) -> MakeProfile:
    """A profile of given runs on a Raspberry Pi 5."""

    def make(
        *runs: Run, unmeasured: Sequence[Unmeasured] = (), machine: Machine = PI5, **changes: Any
    ) -> Profile:
        values: dict[str, Any] = {
            "kind": "profile",
            "schema": 1,
            "edgenet": "0.1.0",
            "bundle": "mobilenet_v1_0.5_128",
            "target": "rpi",
            "bundle_sha256": "ab" * 32,
            "arch": "mobilenet_v1",
            "alpha": 0.5,
            "height": 128,
            "width": 128,
            "measured_at": "2026-11-22T01:00:08+00:00",
            "command": "edgenet profile bundle",
            "settings": Settings(),
        }
        return Profile(
            **values | changes,
            machine=machine,
            runs=runs if runs or unmeasured else (make_run(),),
            unmeasured=tuple(unmeasured),
        )

    return make


@pytest.fixture
def make_sustained() -> MakeSustained:
    """A run of 30 s: 2 ms at first, 3 ms in the last third; a window every 10 s."""

    def make(
        *, states: Sequence[State] = (State(-1.0), State(31.0)), kept: float = 3.0, **changes: Any
    ) -> Sustained:
        burst, late = (1.9, 2.0, 2.1), (kept - 0.1, kept, kept + 0.1)
        line = Timeline(
            seconds=30.0,
            window_s=10.0,
            windows=(
                Window(0.0, 5000, 2.0, 2.1, 2.5, 4.0),
                Window(10.0, 4000, 2.5, 2.6, 3.0, 5.0),
                Window(20.0, 3300, kept, 3.2, 3.9, 6.0),
            ),
            burst_s=3.0,
            burst=summarize(burst),
            sustained=summarize(late),
            burst_samples=burst,
            sustained_samples=late,
        )
        values: dict[str, Any] = {
            "variant": "int8.tflite",
            "threads": 4,
            "timeline": line,
            "states": tuple(states),
            "throttled": throttling(states),
        }
        return Sustained(**values | changes)

    return make
