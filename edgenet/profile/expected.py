"""What published measurements let expect of known boards, and whether a run is far from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgenet.profile.record import Profile, Run

_XNNPACK = "google/XNNPACK README, 2022, multithreaded"
_ARM = "learn.arm.com, MobileNetV2 on a Raspberry Pi 5 with ExecuTorch's XNNPACK"


@dataclass(frozen=True, slots=True)
class Expected:
    """The range of a sound result: inference (invoke alone), median, four threads, 64-bit system.

    Attributes:
        board: how its name begins.
        arch: the network, at width 1.0 and 224 x 224.
        precision: ``int8`` or ``fp32``.
        published_ms: what the source gives.
        low_ms: below it, something else was measured.
        high_ms: above it, something is wrong.
        source: of the published figure; the range around it is edgenet's.
    """

    board: str
    arch: str
    precision: str
    published_ms: float
    low_ms: float
    high_ms: float
    source: str


def _around(board: str, arch: str, precision: str, ms: float, source: str = _XNNPACK) -> Expected:
    """A range as wide as boards, clocks and versions of the engine differ."""
    return Expected(board, arch, precision, ms, round(0.65 * ms, 2), round(1.6 * ms, 2), source)


_PI3, _PI4, _PI5 = "Raspberry Pi 3", "Raspberry Pi 4", "Raspberry Pi 5"
TABLE = (
    Expected(_PI3, "mobilenet_v2", "int8", 30, 25, 40, _XNNPACK),
    Expected(_PI4, "mobilenet_v2", "int8", 17, 15, 25, _XNNPACK),
    Expected(_PI5, "mobilenet_v2", "int8", 4.01, 3.5, 8, _ARM),
    _around(_PI3, "mobilenet_v1", "int8", 46),
    _around(_PI4, "mobilenet_v1", "int8", 24),
    _around(_PI3, "mobilenet_v1", "fp32", 114),
    _around(_PI3, "mobilenet_v2", "fp32", 79),
    _around(_PI3, "mobilenet_v3_large", "fp32", 67),
    _around(_PI3, "mobilenet_v3_small", "fp32", 22),
    _around(_PI4, "mobilenet_v1", "fp32", 77),
    _around(_PI4, "mobilenet_v2", "fp32", 46),
    _around(_PI4, "mobilenet_v3_large", "fp32", 40),
    _around(_PI4, "mobilenet_v3_small", "fp32", 15),
    _around(_PI5, "mobilenet_v2", "fp32", 10.89, _ARM),
)


def unexpected(profile: Profile) -> Iterator[tuple[Run, Expected]]:
    """The runs that are outside the range of their board and model, with that range."""
    if profile.machine.emulator is not None:
        return
    for run in profile.runs:
        known = expected(profile, run)
        if known and not known.low_ms <= run.stats["invoke"].p50_ms <= known.high_ms:
            yield run, known


def expected(profile: Profile, run: Run) -> Expected | None:
    """What to expect of a run; None where nothing is published for its board and model."""
    same = profile.alpha == 1.0 and profile.height == profile.width == 224
    precision, _, engine = run.variant.partition(".")
    if not same or run.threads != 4 or engine != "tflite":
        return None
    board = profile.machine.board or ""
    for one in TABLE:
        if board.startswith(one.board) and (one.arch, one.precision) == (profile.arch, precision):
            return one
    return None
