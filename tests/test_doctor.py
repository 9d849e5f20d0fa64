from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenet.cli.main import main
from edgenet.doctor import facts as gathering
from edgenet.doctor.examine import Check, examine, ready
from edgenet.doctor.facts import EdgeTpus, Facts, Loaded, gather, load
from edgenet.doctor.wheels import WHEELS, System
from edgenet.runtime.edgetpu_device import Device

REQUIREMENTS = (
    "numpy<3,>=1.26",
    "click<9,>=8.2",
    'ai-edge-litert<3,>=2.1; extra == "litert"',
    'tflite-runtime<2.15,>=2.14; extra == "tflite"',
    'numpy<2; extra == "tflite"',
    'onnxruntime<2,>=1.20; extra == "onnx"',
    'opencv-python-headless<6,>=4.11; extra == "image"',
    'edgenet[image,litert]; extra == "rpi"',
    'torch<2.14,>=2.11; extra == "host"',
    'torchao<0.19,>=0.17; extra == "host"',
)
INSTALLED = {
    "numpy": "2.4.6",
    "click": "8.5.1",
    "ai-edge-litert": "2.3.0",
    "onnxruntime": "1.31.1",
    "opencv-python-headless": "4.12.0.88",
}
PI = System("linux", "aarch64", (3, 13), (2, 41))
PI_32_BIT = System("linux", "armv7l", (3, 11), (2, 36))
PC = System("linux", "x86_64", (3, 12), (2, 39))


def device(
    *,
    without: tuple[str, ...] = (),
    plus: dict[str, str] | None = None,
    loaded: dict[str, Loaded] | None = None,
    **changes: Any,
) -> Facts:
    """A Raspberry Pi with all that runs a bundle, and what the test changes of it."""
    installed = {name: v for name, v in INSTALLED.items() if name not in without} | (plus or {})
    works = {name: Loaded(version) for name, version in installed.items()}
    if any(name.startswith("opencv") for name in installed):
        works["opencv"] = Loaded("4.12.0")
    values: dict[str, Any] = {
        "system": PI,
        "python": "3.13.5",
        "executable": "python3",
        "pip": "python3 -m pip install",
        "managed": False,
        "requires_python": ">=3.11,<3.14",
        "requirements": REQUIREMENTS,
        "installed": installed,
        "loaded": works | (loaded or {}),
    }
    return Facts(**values | changes)


def check(facts: Facts, name: str) -> Check:
    found = [one for one in examine(facts) if one.name == name]
    assert len(found) == 1, [one.name for one in examine(facts)]
    return found[0]


def test_a_device_without_torch_can_run_bundles() -> None:
    checks = examine(device())
    assert ready(checks)
    assert {one.status for one in checks if one.part != "host"} == {"ok"}
    (host,) = [one for one in checks if one.part == "host"]
    assert (host.status, host.mend) == ("missing", None)
    assert "no wheel for Python 3.13 on Linux aarch64" in host.says


def test_ranges_come_from_edgenets_own_metadata() -> None:
    assert check(device(), "numpy").wanted == "<3,>=1.26"
    narrower = ("numpy<2.1", *REQUIREMENTS[1:])
    numpy = check(device(requirements=narrower), "numpy")
    assert (numpy.status, numpy.says) == ("warning", "edgenet was tested with <2.1")
    assert numpy.mend == "python3 -m pip install 'numpy<2.1'"


@pytest.mark.parametrize(
    ("package", "version", "status"),
    [
        ("onnxruntime", "1.20.0", "ok"),
        ("onnxruntime", "2.0.0", "warning"),
        ("onnxruntime", "1.19.2", "warning"),
        ("ai-edge-litert", "3.0.0rc1", "warning"),
        ("ai-edge-litert", "2.3.0.dev20261101", "ok"),
    ],
)
def test_a_version_is_held_against_its_range(package: str, version: str, status: str) -> None:
    assert check(device(plus={package: version}), package).status == status


@pytest.mark.parametrize(
    ("package", "extra"), [("ai-edge-litert", "litert"), ("onnxruntime", "onnx")]
)
def test_one_engine_is_enough_and_the_other_has_its_command(package: str, extra: str) -> None:
    facts = device(without=(package,))
    assert check(facts, package).status == "missing"
    assert check(facts, package).mend == f"python3 -m pip install 'edgenet[{extra}]'"
    assert ready(examine(facts))
    assert not ready(examine(device(without=("ai-edge-litert", "onnxruntime"))))


def test_tflite_runtime_and_numpy_2_clash_and_litert_mends_it_where_it_has_a_wheel() -> None:
    facts = device(without=("ai-edge-litert", "onnxruntime"), plus={"tflite-runtime": "2.14.0"})
    clash = check(facts, "tflite-runtime")
    assert clash.status == "broken"
    assert clash.says == "it was built for numpy 1 and crashes with numpy 2.4.6"
    assert clash.mend == "python3 -m pip install 'edgenet[litert]'"
    assert not ready(examine(facts))


def test_where_litert_has_no_wheel_an_older_numpy_mends_the_clash() -> None:
    facts = device(without=("ai-edge-litert",), plus={"tflite-runtime": "2.14.0"}, system=PI_32_BIT)
    assert check(facts, "tflite-runtime").mend == "python3 -m pip install 'numpy<2'"


def test_tflite_runtime_with_numpy_1_is_well() -> None:
    facts = device(
        without=("ai-edge-litert", "onnxruntime"),
        plus={"tflite-runtime": "2.14.0", "numpy": "1.26.4"},
        system=PI_32_BIT,
    )
    assert check(facts, "tflite-runtime").status == "ok"
    assert ready(examine(facts))


def test_a_32_bit_system_is_sent_to_the_package_that_it_has() -> None:
    missing = check(device(without=("ai-edge-litert",), system=PI_32_BIT), "ai-edge-litert")
    assert "no wheel for Python 3.11 on Linux armv7l, but tflite-runtime has" in missing.says
    assert missing.mend == "python3 -m pip install 'edgenet[tflite]'"


def test_a_32_bit_system_with_a_newer_python_is_told_plainly_that_there_is_none() -> None:
    system = dataclasses.replace(PI_32_BIT, python=(3, 13))
    missing = check(device(without=("ai-edge-litert",), system=system), "ai-edge-litert")
    assert "neither has tflite-runtime: use the 64-bit Raspberry Pi OS" in missing.says
    assert missing.mend is None


def test_a_musl_system_is_told_that_there_is_no_wheel() -> None:
    system = dataclasses.replace(PC, glibc=None)
    missing = check(device(without=("ai-edge-litert",), system=system), "ai-edge-litert")
    assert "it has no wheel for Python 3.12 on Linux x86_64 without glibc" in missing.says
    assert missing.mend is None


def test_a_package_that_does_not_load_is_broken_and_installed_again() -> None:
    crash = {"onnxruntime": Loaded(error="it crashes with SIGILL")}
    broken = check(device(loaded=crash), "onnxruntime")
    assert (broken.status, broken.says) == ("broken", "it crashes with SIGILL")
    assert broken.mend == "python3 -m pip install --force-reinstall 'onnxruntime<2,>=1.20'"


def test_opencv_is_found_under_any_of_its_names() -> None:
    facts = device(without=("opencv-python-headless",), plus={"opencv-python": "4.12.0.88"})
    assert check(facts, "opencv").status == "ok"


def test_opencv_of_debian_has_no_metadata_and_counts() -> None:
    facts = device(without=("opencv-python-headless",), loaded={"opencv": Loaded("4.6.0")})
    opencv = check(facts, "opencv")
    assert (opencv.status, opencv.found) == ("warning", "4.6.0")
    assert ready(examine(facts))


def test_a_missing_opencv_keeps_bundles_from_running() -> None:
    facts = device(without=("opencv-python-headless",))
    assert check(facts, "opencv").mend == "python3 -m pip install 'edgenet[image]'"
    assert not ready(examine(facts))


def test_two_opencvs_overwrite_each_other_and_one_command_mends_it() -> None:
    opencv = check(device(plus={"opencv-python": "4.12.0.88"}), "opencv")
    assert "opencv-python-headless and opencv-python overwrite" in opencv.says
    assert opencv.mend == (
        "python3 -m pip uninstall -y opencv-python-headless opencv-python"
        " && python3 -m pip install --force-reinstall 'opencv-python-headless<6,>=4.11'"
    )


def test_opencv_that_wants_a_display_library_is_replaced() -> None:
    facts = device(
        without=("opencv-python-headless",),
        plus={"opencv-python": "4.12.0.88"},
        loaded={"opencv": Loaded(error="ImportError: libGL.so.1: cannot open shared object")},
    )
    opencv = check(facts, "opencv")
    assert (opencv.status, opencv.found) == ("broken", "opencv-python")
    assert (opencv.mend or "").startswith("python3 -m pip uninstall -y opencv-python &&")


def test_each_package_of_the_host_extra_is_looked_at_where_torch_is() -> None:
    facts = device(plus={"torch": "2.10.0+cpu"}, system=PC)
    assert check(facts, "torch").status == "warning"
    assert check(facts, "torch").mend == "python3 -m pip install 'torch<2.14,>=2.11'"
    assert check(facts, "torchao").mend == "python3 -m pip install 'edgenet[host]'"
    assert check(device(plus={"torch": "2.13.0+cpu"}, system=PC), "torch").status == "ok"
    assert ready(examine(facts))


def test_on_a_pc_the_host_extra_has_a_command() -> None:
    host = check(device(system=PC), "the host extra")
    assert host.mend == "python3 -m pip install 'edgenet[host]'"
    assert "training and exporting need it, running does not" in host.says


def test_a_guarded_system_python_gets_an_environment_of_its_own() -> None:
    missing = check(device(without=("onnxruntime",), managed=True), "onnxruntime")
    assert missing.mend == (
        "python3 -m venv --system-site-packages ~/edgenet"
        " && ~/edgenet/bin/pip install edgenet 'edgenet[onnx]'"
    )


def test_a_python_out_of_range_is_named() -> None:
    python = check(device(python="3.14.1"), "Python")
    assert (python.status, python.wanted) == ("warning", "<3.14,>=3.11")
    assert python.mend


@pytest.mark.parametrize(
    ("package", "system", "suits"),
    [
        ("ai-edge-litert", PI, True),
        ("ai-edge-litert", PC, True),
        ("ai-edge-litert", PI_32_BIT, False),
        ("ai-edge-litert", System("linux", "aarch64", (3, 10), (2, 36)), False),
        ("ai-edge-litert", System("linux", "aarch64", (3, 12), (2, 26)), False),
        ("ai-edge-litert", System("darwin", "arm64", (3, 12), None), True),
        ("ai-edge-litert", System("darwin", "x86_64", (3, 12), None), False),
        ("tflite-runtime", PI_32_BIT, True),
        ("tflite-runtime", System("linux", "aarch64", (3, 12), (2, 36)), False),
        ("tflite-runtime", System("linux", "armv7l", (3, 11), (2, 31)), False),
        ("the host extra", PI, False),
        ("the host extra", PC, True),
    ],
    ids=str,
)
def test_which_wheels_there_are(package: str, system: System, suits: bool) -> None:
    assert WHEELS[package].suit(system) is suits


def test_this_machine_is_read() -> None:
    facts = gather()
    assert facts.installed["numpy"] == importlib.metadata.version("numpy")
    assert any(line.startswith("numpy") for line in facts.requirements)
    assert facts.loaded["ai-edge-litert" if "ai-edge-litert" in facts.installed else "opencv"]
    assert shlex.quote(sys.executable) in facts.pip


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__version__ = '1.2'", Loaded("1.2")),
        ("pass", Loaded()),
        ("print('noise')\n__version__ = '3'", Loaded("3")),
        ("raise ImportError('libGL.so.1')", Loaded(error="ImportError: libGL.so.1")),
        ("import os; os.kill(os.getpid(), 11)", Loaded(error="it crashes with SIGSEGV")),
        ("raise SystemExit(3)", Loaded(error="it ends with status 3")),
    ],
)
def test_loading_a_module_is_tried_apart(
    source: str, expected: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suspect.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert load("suspect") == expected


def test_the_command_ends_with_0_where_bundles_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "gather", device)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0
    assert "Python 3.13 on Linux aarch64: python3" in done.output
    assert "ok       ai-edge-litert 2.3.0" in done.output
    assert done.output.endswith("this machine can run bundles\n")


def test_the_command_ends_with_1_and_the_mend_where_they_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "gather", lambda: device(without=("opencv-python-headless",)))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 1
    assert "missing  opencv (<6,>=4.11): not installed\n" in done.output
    assert "           python3 -m pip install 'edgenet[image]'\n" in done.output
    assert done.output.endswith("this machine cannot run bundles yet\n")


def test_json_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "gather", lambda: device(without=("ai-edge-litert",)))
    done = CliRunner().invoke(main, ["doctor", "--json"])
    found = json.loads(done.output)
    assert done.exit_code == 0
    assert found["can_run_bundles"] is True
    (missing,) = [one for one in found["checks"] if one["name"] == "ai-edge-litert"]
    assert missing["mend"] == "python3 -m pip install 'edgenet[litert]'"
    assert found["glibc"] == "2.41"


USB = Device(Path("004"), "usb", may_open=True)


@pytest.mark.parametrize(
    ("found", "status", "says"),
    [
        (EdgeTpus((USB,), "libedgetpu.so.1"), "ok", ""),
        (EdgeTpus((USB,)), "missing", "it is plugged in, but not its library; docs/coral.md"),
        (EdgeTpus((), "libedgetpu.so.1"), "missing", "installed, but it is not plugged in"),
        (
            EdgeTpus((dataclasses.replace(USB, may_open=False),), "libedgetpu.so.1"),
            "broken",
            "this user may not open it",
        ),
        (EdgeTpus((USB,), "libedgetpu.so.1", "it crashes with SIGSEGV"), "broken", "SIGSEGV"),
        (
            EdgeTpus((dataclasses.replace(USB, slow=True),), "libedgetpu.so.1"),
            "warning",
            "it is at a USB 2 port",
        ),
        (
            EdgeTpus((dataclasses.replace(USB, kind="pci"),), "libedgetpu.so.1", None, 16384),
            "broken",
            "the kernel's pages are of 16384 bytes",
        ),
    ],
)
def test_a_coral_is_examined(found: EdgeTpus, status: str, says: str) -> None:
    one = check(device(edgetpu=found), "Edge TPU")
    assert (one.status, one.part) == (status, "device")
    assert says in one.says
    assert ready(examine(device(edgetpu=found)))


def test_compilers_for_microcontrollers_come_with_the_command_that_brings_them() -> None:
    facts = dataclasses.replace(device(), tools={"cc": "12.2.0", "qemu-system-arm": None})
    compiler, emulator = (check for check in examine(facts) if check.part == "mcu")
    assert (compiler.status, compiler.found) == ("ok", "12.2.0")
    assert emulator.status == "missing"
    assert emulator.mend == "sudo apt install qemu-system-arm"
    assert ready(examine(facts))


def test_a_machine_without_a_coral_hears_nothing_of_it() -> None:
    assert {one.part for one in examine(device())} == {"base", "engine", "image", "host"}
