from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenet.environment import Probe, Recorder, State, throttling, usable_cores

Write = Callable[[str, str], Path]

PI5_CPUINFO = "".join(
    f"processor\t: {core}\nBogoMIPS\t: 108.00\n"
    "Features\t: fp asimd evtstrm aes crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc asimddp\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\n\n"
    for core in range(4)
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the machine's root."""

    def put(path: str, text: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return put


@pytest.fixture
def pi5(tmp_path: Path, write: Write) -> Path:
    """The files of a Raspberry Pi 5, with known values."""
    write("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    write("proc/cpuinfo", PI5_CPUINFO)
    write("proc/meminfo", "MemTotal:        8245840 kB\nMemAvailable:    7000000 kB\n")
    write("proc/loadavg", "0.52 0.58 0.59 1/977 12345\n")
    write("etc/os-release", 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    write("sys/class/thermal/thermal_zone0/type", "gpu-thermal\n")
    write("sys/class/thermal/thermal_zone0/temp", "40000\n")
    write("sys/class/thermal/thermal_zone1/type", "cpu-thermal\n")
    write("sys/class/thermal/thermal_zone1/temp", "51250\n")
    for core in range(4):
        folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        write(f"{folder}/scaling_governor", "ondemand\n")
        write(f"{folder}/scaling_cur_freq", f"{1500000 + core * 100000}\n")
        write(f"{folder}/cpuinfo_max_freq", "2400000\n")
    return tmp_path


def program(path: Path, script: str) -> str:
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_raspberry_pi_is_read_from_its_files(pi5: Path) -> None:
    machine = Probe(pi5, vcgencmd=None).machine()
    assert machine.board == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine.cpu == "4x Cortex-A76"
    assert machine.features == ("asimd", "asimddp", "asimdhp")
    assert machine.memory == 8245840 * 1024
    assert machine.max_mhz == 2400
    assert machine.os == "Debian GNU/Linux 12 (bookworm)"
    assert machine.virtual is False
    assert machine.packages["numpy"]


def test_its_state_comes_with_units(pi5: Path) -> None:
    state = Probe(pi5, vcgencmd=None).state()
    assert state.temperature_c == 51.25
    assert state.mhz == (1500, 1600, 1700, 1800)
    assert state.governor == "ondemand"
    assert state.load == 0.52
    assert state.available_memory == 7000000 * 1024
    assert state.throttle_bits is None


def test_a_machine_that_tells_nothing_is_recorded_as_unknown(tmp_path: Path) -> None:
    probe = Probe(tmp_path, vcgencmd=None)
    machine = probe.machine()
    assert (machine.board, machine.cpu, machine.memory, machine.os) == (None, None, None, None)
    assert (machine.virtual, machine.max_mhz, machine.quota) == (None, None, None)
    assert machine.features == ()
    assert machine.cores >= 1
    state = probe.state()
    assert state == State(at_s=state.at_s)


def test_unreadable_values_are_unknown_and_raise_nothing(pi5: Path, write: Write) -> None:
    write("sys/class/thermal/thermal_zone1/temp", "not a number\n")
    write("proc/loadavg", "?\n")
    for core in range(4):
        write(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", "<unknown>\n")
    state = Probe(pi5, vcgencmd=None).state()
    assert (state.temperature_c, state.mhz, state.load) == (None, (), None)


def test_cores_of_two_kinds_are_both_named(tmp_path: Path, write: Write) -> None:
    core = "processor: 0\nCPU implementer\t: 0x41\nCPU part\t: {}\n\n"
    write(
        "proc/cpuinfo", core.format("0xd05") * 4 + core.format("0xd0b") * 2 + core.format("0xfff")
    )
    assert Probe(tmp_path).machine().cpu == "4x Cortex-A55 + 2x Cortex-A76 + 1x Arm part 0xfff"


def test_an_x86_virtual_machine_is_read(tmp_path: Path, write: Write) -> None:
    write(
        "proc/cpuinfo",
        "model name\t: Intel(R) Xeon(R)\ncpu MHz\t\t: 2599.996\n"
        "flags\t\t: fpu sse4_1 avx2 hypervisor avx512_vnni\n\n",
    )
    write("sys/devices/virtual/dmi/id/product_name", "Standard PC\n")
    write("sys/fs/cgroup/cpu.max", "150000 100000\n")
    machine = Probe(tmp_path).machine()
    assert (machine.board, machine.cpu) == ("Standard PC", "Intel(R) Xeon(R)")
    assert machine.features == ("sse4_1", "avx2", "avx512_vnni")
    assert machine.virtual is True
    assert machine.quota == 1.5
    assert Probe(tmp_path).state().mhz == (2599.996,)


def test_throttle_bits_come_from_vcgencmd(pi5: Path, tmp_path: Path) -> None:
    command = program(tmp_path / "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0x50005\n')
    assert Probe(pi5, vcgencmd=command).state().throttle_bits == 0x50005


def test_the_kernel_file_is_read_in_place_of_vcgencmd(pi5: Path, write: Write) -> None:
    write("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n")
    command = program(pi5 / "vcgencmd", "echo throttled=0x1\n")
    assert Probe(pi5, vcgencmd=command).state().throttle_bits == 0x50000


def test_a_vcgencmd_that_fails_is_asked_once_and_never_again(pi5: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    command = program(
        tmp_path / "vcgencmd", f"echo called >> {calls}\necho 'VCHI failed'; exit 255\n"
    )
    probe = Probe(pi5, vcgencmd=command)
    assert [probe.state().throttle_bits for _ in range(3)] == [None] * 3
    assert calls.read_text() == "called\n"


def test_an_absent_vcgencmd_leaves_throttling_unknown(pi5: Path) -> None:
    state = Probe(pi5, vcgencmd="no-such-program-anywhere").state()
    assert state.throttle_bits is None
    assert throttling([state, state]) is None


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        ((0x0, 0x0), ()),
        ((0x50000, 0x50000), ()),
        ((0x0, 0x50005), ("under-voltage", "throttled")),
        ((0x0, 0x4, 0x40000), ("throttled",)),
        ((0x0, 0x80000), ("soft temperature limit",)),
        ((0x50000, 0x70000), ("CPU frequency capped",)),
        ((0x50000, 0x50001, 0x50000), ("under-voltage",)),
        ((0x2, 0x2), ("CPU frequency capped",)),
    ],
    ids=lambda value: ", ".join(map(hex, value)) if value and isinstance(value[0], int) else None,
)
def test_bits_latched_before_the_run_are_not_this_runs_fault(
    bits: tuple[int, ...], reasons: tuple[str, ...]
) -> None:
    assert throttling([State(at_s=0, throttle_bits=value) for value in bits]) == reasons


def test_a_growing_kernel_count_is_throttling(tmp_path: Path, write: Write) -> None:
    for core in (0, 1):
        folder = f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        write(f"{folder}/core_throttle_count", "3\n")
        write(f"{folder}/package_throttle_count", "7\n")
    probe = Probe(tmp_path)
    before = probe.state()
    assert before.throttle_count == 20
    assert throttling([before, probe.state()]) == ()
    write("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "4\n")
    assert throttling([before, probe.state()]) == ("thermal throttling counted by the kernel",)


def test_the_recorder_keeps_first_and_last_and_samples_between(pi5: Path, write: Write) -> None:
    seen = threading.Event()

    class Watched(Probe):
        calls = 0

        def state(self) -> State:
            self.calls += 1
            if self.calls == 2:
                write("sys/class/thermal/thermal_zone1/temp", "62000\n")
            if self.calls == 4:
                seen.set()
            return super().state()

    with Recorder(Watched(pi5, vcgencmd=None), hz=500) as recorder:
        assert seen.wait(10)
    temperatures = [state.temperature_c for state in recorder.states]
    assert temperatures[0] == 51.25
    assert set(temperatures[1:]) == {62.0}
    times = [state.at_s for state in recorder.states]
    assert times == sorted(times)
    assert times[-1] <= time.perf_counter()
    assert "edgenet-recorder" not in {thread.name for thread in threading.enumerate()}


def test_cores_are_those_of_this_process_where_the_system_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    assert usable_cores() == Probe().machine().cores == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS has none
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert usable_cores() == Probe().machine().cores == 8


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux's /proc")
def test_this_machine_can_be_read() -> None:
    machine = Probe().machine()
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory is not None
    assert machine.memory > 2**24
