"""What a machine is, what state it is in, and what slowed it down between two moments."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLE_BITS = {
    0: "under-voltage",
    1: "CPU frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_LATCHED = 16  # bit n + 16: bit n was set at some time since boot


class Machine(msgspec.Struct, frozen=True):
    """What a machine is; it does not change while a program runs.

    Attributes:
        board: the board or product, as its firmware names it.
        cpu: the processor.
        architecture: of the Python that runs, as wheels name it (aarch64, armv7l, x86_64).
        cores: processors that this program may use.
        quota: processors' worth of time that a container grants; None without such a limit.
        features: instruction set extensions that matter to inference, as Linux names them.
        memory: bytes of RAM.
        virtual: whether a hypervisor runs beneath.
        max_mhz: the highest clock frequency of any core.
        os: the distribution.
        kernel: the kernel's release.
        python: the interpreter's version.
        packages: name to version; None for a package that is not installed.
    """

    board: str | None
    cpu: str | None
    architecture: str
    cores: int
    quota: float | None
    features: tuple[str, ...]
    memory: int | None
    virtual: bool | None
    max_mhz: float | None
    os: str | None
    kernel: str
    python: str
    packages: dict[str, str | None]


class State(msgspec.Struct, frozen=True):
    """A machine at one moment.

    Attributes:
        at_s: seconds on ``time.perf_counter``'s clock; in a profile, since its first sample began.
        temperature_c: of the processor.
        mhz: clock frequency of each core; empty where unknown.
        governor: what decides the frequency; several names where cores differ.
        throttle_bits: the Raspberry Pi firmware's, as ``vcgencmd get_throttled`` prints them.
        throttle_count: thermal throttling events since boot, where the kernel counts them (x86).
        load: runnable processes, averaged over a minute.
        available_memory: bytes that programs may still take.
    """

    at_s: float
    temperature_c: float | None = None
    mhz: tuple[float, ...] = ()
    governor: str | None = None
    throttle_bits: int | None = None
    throttle_count: int | None = None
    load: float | None = None
    available_memory: int | None = None


def throttling(states: Sequence[State]) -> tuple[str, ...] | None:
    """What slowed the machine down between the first state and the last, in words.

    A bit that says 'since boot' counts only when it was not set in the first state.

    Returns:
        The reasons; empty when nothing slowed it; None when the machine cannot tell.
    """
    bits = [state.throttle_bits for state in states if state.throttle_bits is not None]
    counts = [state.throttle_count for state in states if state.throttle_count is not None]
    if not bits and not counts:
        return None
    new = 0
    for value in bits:
        new |= value | (value & ~bits[0]) >> _LATCHED
    reasons = [words for bit, words in THROTTLE_BITS.items() if new >> bit & 1]
    if counts and counts[-1] > counts[0]:
        reasons.append("thermal throttling counted by the kernel")
    return tuple(reasons)
