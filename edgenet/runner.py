"""The protocols between an engine, a source of frames and a target's runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from edgenet.spec import TensorSpec, Variant

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: uint8 RGB (H, W, 3), with the monotonic time it was captured at."""

    index: int
    captured_ms: float
    rgb: Array
    name: str = ""
    label: int | None = None


class Prediction(NamedTuple):
    """What the model said of one frame; a tuple, since one is made for every frame.

    Attributes:
        frame: index of the frame.
        logits: float32 (classes,), dequantized.
        stage_ms: wall milliseconds of ``preprocess``, ``invoke`` and ``postprocess``; empty where
            they would mean nothing, on an emulated board.
        name: the frame's name, where it had one (a file's path).
    """

    frame: int
    logits: Array
    stage_ms: Mapping[str, float]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes a model takes on a target; None where it is not known."""

    flash: int | None = None
    ram_static: int | None = None
    ram_peak: int | None = None


class Source(Protocol):
    """Where frames come from: a camera, a file, a folder, standard input.

    Attributes:
        live: whether frames come at their own pace, as from a camera, and old ones are worthless;
            a live source's ``close`` may be called from any thread and does not wait for a read.
    """

    live: bool

    def __iter__(self) -> Iterator[Frame]: ...
    def close(self) -> None: ...


class Session(Protocol):
    """One loaded model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, inputs: Sequence[Array]) -> list[Array]: ...


class Backend(Protocol):
    """An inference engine that opens model files."""

    name: str

    def open(self, model: Path, *, threads: int = 1) -> Session: ...


class Device(Protocol):
    """A board that runs a model of one bundle, reached from this machine.

    Attributes:
        variant: of the bundle.
        parallel: whether pictures may run at the same time.
    """

    variant: Variant
    parallel: bool

    def prepare(self, workdir: Path | None = None) -> Footprint: ...
    def prove(self) -> int: ...
    @property
    def engine(self) -> Backend: ...
    def close(self) -> None: ...


class Runner(Protocol):
    """One bundle on one target."""

    def prepare(self, workdir: Path) -> Footprint: ...
    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]: ...
    def close(self) -> None: ...
