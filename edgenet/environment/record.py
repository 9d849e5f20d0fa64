"""What a machine is, and what state it is in."""

from __future__ import annotations

import msgspec


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
        emulator: what translates the instructions one by one, so that timings mean nothing; None
            where nothing tells that something does.
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
    emulator: str | None = None


class State(msgspec.Struct, frozen=True):
    """A machine at one moment.

    Attributes:
        at_s: seconds on ``time.perf_counter``'s clock; in a profile, since its first sample began.
        temperature_c: of the processor.
        mhz: clock frequency of each core, as Linux asked for it; empty where unknown.
        governor: what decides the frequency; several names where cores differ.
        throttle_bits: the Raspberry Pi firmware's, as ``vcgencmd get_throttled`` prints them.
        throttle_count: thermal throttling events since boot, where the kernel counts them (x86).
        load: runnable processes, averaged over a minute.
        available_memory: bytes that programs may still take.
        arm_mhz: the Raspberry Pi firmware's measurement of the frequency that the CPU runs at.
        core_volts: of the processor, from the firmware.
        watts: what the rails of a Raspberry Pi 5 deliver, as far as its power chip measures them.
    """

    at_s: float
    temperature_c: float | None = None
    mhz: tuple[float, ...] = ()
    governor: str | None = None
    throttle_bits: int | None = None
    throttle_count: int | None = None
    load: float | None = None
    available_memory: int | None = None
    arm_mhz: float | None = None
    core_volts: float | None = None
    watts: float | None = None
