"""Reading a Linux machine through its /sys and /proc; whatever it does not tell is None."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import struct
import time
from collections import Counter
from pathlib import Path

import msgspec

from edgenet.environment.emulation import emulator
from edgenet.environment.firmware import Firmware
from edgenet.environment.record import Machine, State

# The instructions that decide how fast int8 and float32 convolutions run.
_FEATURES = (
    *("neon", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
    *("sse4_1", "avx", "fma", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
)
# CPU parts of implementer 0x41 (Arm): the cores of the boards that this toolkit meets.
_ARM_PARTS = {
    "0xb76": "ARM1176JZF-S",
    "0xc07": "Cortex-A7",
    "0xc08": "Cortex-A8",
    "0xc09": "Cortex-A9",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
PACKAGES = (
    *("edgenet", "numpy", "ai-edge-litert", "tflite-runtime", "onnxruntime"),
    *("opencv-python-headless", "opencv-python", "torch"),
)


def architecture() -> str:
    """The CPU architecture of this Python: a 32-bit one on a 64-bit Arm kernel is armv7l."""
    machine = platform.machine().lower()
    if machine == "aarch64" and struct.calcsize("P") == 4:
        return "armv7l"
    return {"amd64": "x86_64", "armv8l": "armv7l"}.get(machine, machine)


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Probe:
    """Reads a Linux machine through its /sys and /proc.

    Args:
        root: the folder that holds ``sys``, ``proc`` and ``etc``; / but in tests.
        vcgencmd: the Raspberry Pi's program; looked for on PATH unless given, None to do without.
    """

    def __init__(self, root: Path = Path("/"), *, vcgencmd: str | None = "vcgencmd") -> None:
        self._root = root
        self._cpus = sorted(
            root.glob("sys/devices/system/cpu/cpu[0-9]*"), key=lambda path: int(path.name[3:])
        )
        self._sensor = self._thermal_zone()
        # The kernel of Raspberry Pi OS has the same bits in a file, which costs no process.
        self._throttle_file = next(
            root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled"), None
        )
        self._firmware = Firmware(vcgencmd)

    def machine(self) -> Machine:
        """What stays as it is."""
        cpuinfo = self._read("proc/cpuinfo") or ""
        flags = set(" ".join(re.findall(r"(?mi)^(?:flags|features)\s*:(.*)$", cpuinfo)).split())
        peak = [self._number(cpu / "cpufreq/cpuinfo_max_freq") for cpu in self._cpus]
        known = [khz for khz in peak if khz is not None]
        emulated = emulator(self._root, architecture())
        virtual = "hypervisor" in flags or emulated is not None
        return Machine(
            board=self._read("proc/device-tree/model")
            or self._read("sys/devices/virtual/dmi/id/product_name"),
            cpu=_cpu_name(cpuinfo),
            architecture=architecture(),
            cores=usable_cores(),
            quota=self._quota(),
            features=tuple(name for name in _FEATURES if name in flags),
            memory=self._meminfo("MemTotal"),
            virtual=virtual if virtual or flags else None,
            max_mhz=max(known) / 1000 if known else None,
            os=self._os(),
            kernel=platform.release(),
            python=platform.python_version(),
            packages={name: version(name) for name in PACKAGES},
            emulator=emulated,
        )

    def state(self) -> State:
        """What moves, now, as far as it is cheap to tell: files, and one process at the most."""
        load = self._read("proc/loadavg")
        millidegrees = self._number(self._sensor) if self._sensor else None
        counts = [
            self._number(cpu / "thermal_throttle" / name)
            for cpu in self._cpus
            for name in ("core_throttle_count", "package_throttle_count")
        ]
        counted = [int(count) for count in counts if count is not None]
        return State(
            at_s=time.perf_counter(),
            temperature_c=None if millidegrees is None else millidegrees / 1000,
            mhz=self._frequencies(),
            governor=self._governor(),
            throttle_bits=self._throttle_bits(),
            throttle_count=sum(counted) if counted else None,
            load=_float(load.split()[0]) if load else None,
            available_memory=self._meminfo("MemAvailable"),
        )

    def whole_state(self) -> State:
        """``state`` and what only the firmware tells: a process of some milliseconds for each."""
        state, firmware = self.state(), self._firmware
        celsius = state.temperature_c
        return msgspec.structs.replace(
            state,
            temperature_c=firmware.temperature_c() if celsius is None else celsius,
            arm_mhz=firmware.arm_mhz(),
            core_volts=firmware.core_volts(),
            watts=firmware.watts(),
        )

    def _read(self, path: str | Path) -> str | None:
        try:
            text = (self._root / path).read_bytes()
        except OSError:
            return None
        return text.decode("utf-8", "replace").strip("\0 \t\n") or None

    def _number(self, path: Path) -> float | None:
        text = self._read(path)
        return None if text is None else _float(text)

    def _thermal_zone(self) -> Path | None:
        """The file with the processor's temperature, else the first zone's."""
        zones = sorted(self._root.glob("sys/class/thermal/thermal_zone*/temp"))
        for word in ("cpu", "x86_pkg", "soc", "core"):
            for zone in zones:
                if word in (self._read(zone.with_name("type")) or "").lower():
                    return zone
        return zones[0] if zones else None

    def _frequencies(self) -> tuple[float, ...]:
        found = [self._number(cpu / "cpufreq/scaling_cur_freq") for cpu in self._cpus]
        if any(khz is not None for khz in found):
            return tuple(khz / 1000 for khz in found if khz is not None)
        cpuinfo = self._read("proc/cpuinfo") or ""
        return tuple(map(float, re.findall(r"(?m)^cpu MHz\s*:\s*([\d.]+)$", cpuinfo)))

    def _governor(self) -> str | None:
        names = (self._read(cpu / "cpufreq/scaling_governor") for cpu in self._cpus)
        return ", ".join(sorted({name for name in names if name})) or None

    def _throttle_bits(self) -> int | None:
        if self._throttle_file is None:
            return self._firmware.throttle_bits()
        match = re.fullmatch(r"(?:0x)?([0-9a-fA-F]+)", self._read(self._throttle_file) or "")
        return int(match[1], 16) if match else None

    def _meminfo(self, key: str) -> int | None:
        match = re.search(rf"(?m)^{key}:\s*(\d+) kB$", self._read("proc/meminfo") or "")
        return int(match[1]) * 1024 if match else None

    def _quota(self) -> float | None:
        """What cgroup v2 grants: cpu.max is microseconds granted in each period, or 'max'."""
        granted, _, period = (self._read("sys/fs/cgroup/cpu.max") or "max").partition(" ")
        if not (granted.isdigit() and period.isdigit() and int(period)):
            return None
        return int(granted) / int(period)

    def _os(self) -> str | None:
        match = re.search(r'(?m)^PRETTY_NAME="?([^"\n]+)', self._read("etc/os-release") or "")
        return match[1] if match else None


def _cpu_name(cpuinfo: str) -> str | None:
    """The processor, as /proc/cpuinfo names it or as its Arm part numbers tell it."""
    parts = re.findall(r"(?m)^CPU part\s*:\s*(\S+)$", cpuinfo)
    if parts and "0x41" in re.findall(r"(?m)^CPU implementer\s*:\s*(\S+)$", cpuinfo):
        kinds = Counter(_ARM_PARTS.get(part, f"Arm part {part}") for part in parts)
        return " + ".join(f"{count}x {kind}" for kind, count in kinds.items())
    named = re.search(r"(?m)^model name\s*:\s*(.+)$", cpuinfo)
    return named[1].strip() if named else None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
