"""The Edge TPU's engine, on a stand-in for libedgetpu that works, refuses, crashes or goes away."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from edgenet import runtime
from edgenet.errors import EngineError, MissingDevice, MissingPackage
from edgenet.runtime import EdgeTpu, LiteRT, edgetpu, edgetpu_device
from edgenet.runtime.edgetpu_device import Device

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

PICTURE = np.random.default_rng(0).integers(-128, 127, (1, 8, 8, 3), np.int8)


@pytest.fixture(autouse=True)
def forget():
    edgetpu.attempt.cache_clear()


def test_compiled_model_answers_as_the_one_that_it_was_made_of(standin, models):
    session = EdgeTpu(standin).open(models / "largest_edgetpu.tflite")
    plain = LiteRT().open(models / "largest.tflite")
    assert (session.inputs, session.outputs) == (plain.inputs, plain.outputs)
    assert np.array_equal(session.run([PICTURE])[0], plain.run([PICTURE])[0])
    assert runtime.rounding(session) == "edgetpu"


def test_wrong_input_is_misuse_and_no_lost_device(standin, models):
    session = EdgeTpu(standin).open(models / "largest_edgetpu.tflite")
    with pytest.raises(ValueError, match=r"(?i)dimension mismatch"):
        session.run([PICTURE[:, :4]])


@pytest.mark.parametrize(
    ("behaviour", "where"),
    [
        ("crash", "crashes with SIGABRT while opening the device and the model"),
        ("fault", "crashes with SIGSEGV while opening the device and the model"),
    ],
)
def test_crash_of_the_library_is_a_sentence(monkeypatch, standin, models, behaviour, where):
    monkeypatch.setenv("EDGETPU_STANDIN", behaviour)
    with pytest.raises(EngineError, match=rf"libedgetpu\.so\.1 {where}: it was built for another"):
        EdgeTpu(standin).open(models / "largest_edgetpu.tflite")


def test_hanging_library_is_given_up(monkeypatch, standin, models):
    monkeypatch.setenv("EDGETPU_STANDIN", "hang")
    monkeypatch.setattr(edgetpu, "_ATTEMPT_S", 0.5)
    with pytest.raises(
        EngineError, match=r"does not answer within 0\.5 s; plug the Edge TPU in again"
    ):
        EdgeTpu(standin).open(models / "largest_edgetpu.tflite")


@pytest.mark.parametrize(
    ("plugged", "kind", "sentence"),
    [
        ((), MissingDevice, "no Edge TPU is plugged in: libedgetpu.so.1 cannot open the Edge TPU"),
        (
            "closed",
            EngineError,
            r"001/004 is an Edge TPU that this user may not open; add the udev",
        ),
        ("open", EngineError, r"cannot open the Edge TPU \(.*\); end other programs that use it"),
    ],
)
def test_library_that_refuses_is_explained_by_what_is_plugged_in(
    monkeypatch, standin, models, tmp_path, plugged, kind, sentence
):
    found = (Device(tmp_path / "001" / "004", "usb", plugged == "open"),) if plugged else ()
    monkeypatch.setattr(edgetpu_device, "devices", lambda: found)
    monkeypatch.setenv("EDGETPU_STANDIN", "absent")
    with pytest.raises(kind, match=sentence):
        EdgeTpu(standin).open(models / "largest_edgetpu.tflite")


def test_one_attempt_serves_a_whole_process(monkeypatch, standin, models):
    runs = []
    real = subprocess.run
    monkeypatch.setattr(edgetpu.subprocess, "run", lambda *a, **k: runs.append(a) or real(*a, **k))
    for _ in range(3):
        EdgeTpu(standin).open(models / "largest_edgetpu.tflite")
    assert len(runs) == 1


def test_device_that_comes_back_goes_on(monkeypatch, standin, models, tmp_path, caplog):
    mark, slept = tmp_path / "unplugged", []
    monkeypatch.setenv("EDGETPU_STANDIN_UNPLUGGED", str(mark))

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            mark.unlink()

    session = EdgeTpu(standin, sleep=sleep).open(models / "largest_edgetpu.tflite")
    expected = session.run([PICTURE])[0]
    mark.touch()
    assert np.array_equal(session.run([PICTURE])[0], expected)
    assert slept == [0.5, 1.0]
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "the Edge TPU does not answer",
        "the Edge TPU is back",
    ]


def test_device_that_stays_away_is_an_error_and_may_come_later(
    monkeypatch, standin, models, tmp_path
):
    mark = tmp_path / "unplugged"
    monkeypatch.setenv("EDGETPU_STANDIN_UNPLUGGED", str(mark))
    session = EdgeTpu(standin, sleep=lambda s: None).open(models / "largest_edgetpu.tflite")
    mark.touch()
    sentence = r"stopped answering \(.*\) and was not back after 7\.5 s; plug it in again"
    with pytest.raises(EngineError, match=sentence):
        session.run([PICTURE])
    mark.unlink()
    assert session.run([PICTURE])[0].shape == (1, 3)


def test_model_that_is_not_compiled_is_refused_with_the_command(standin, models):
    sentence = "is not compiled for the Edge TPU, .*; run: edgetpu_compiler -s .*largest.tflite"
    with pytest.raises(EngineError, match=sentence):
        EdgeTpu(standin).open(models / "largest.tflite")


def test_no_model_and_no_number_of_threads(standin, models, tmp_path):
    with pytest.raises(EngineError, match="nothing at"):
        EdgeTpu(standin).open(tmp_path / "none.tflite")
    (tmp_path / "text.tflite").write_text("text")
    with pytest.raises(EngineError, match="is not a TFLite model"):
        EdgeTpu(standin).open(tmp_path / "text.tflite")
    with pytest.raises(ValueError, match="threads is 0"):
        EdgeTpu(standin).open(models / "largest_edgetpu.tflite", threads=0)


def test_cpu_refuses_a_compiled_model_with_one_sentence(models):
    path = models / "largest_edgetpu.tflite"
    sentence = f"{re.escape(str(path))} is compiled for the Edge TPU, and no CPU runs it; run the"
    with pytest.raises(EngineError, match=sentence):
        LiteRT().open(path)


def test_library_is_the_named_one_or_missing(monkeypatch, standin, tmp_path):
    monkeypatch.setenv("EDGENET_LIBEDGETPU", standin)
    assert edgetpu.find() == standin
    assert runtime.check("int8_edgetpu.tflite").startswith("edgetpu ")
    monkeypatch.setenv("EDGENET_LIBEDGETPU", str(tmp_path / "none.so"))
    with pytest.raises(MissingDevice, match="EDGENET_LIBEDGETPU: nothing at"):
        edgetpu.find()
    monkeypatch.delenv("EDGENET_LIBEDGETPU")
    monkeypatch.setattr(edgetpu_device, "library", lambda name: None)
    with pytest.raises(MissingPackage, match=r"needs libedgetpu\.so\.1, which is not installed"):
        runtime.check("int8_edgetpu.tflite")


def plug(root, name, ids, speed="5000", number="4", *, node=True):
    folder = root / "sys/bus/usb/devices" / name
    folder.mkdir(parents=True)
    vendor, product = ids.split(":")
    for file, text in {
        "idVendor": vendor, "idProduct": product, "busnum": "1", "devnum": number, "speed": speed,
    }.items():  # fmt: skip
        (folder / file).write_text(text + "\n")
    if node:
        (root / "dev/bus/usb/001").mkdir(parents=True, exist_ok=True)
        (root / "dev/bus/usb/001" / f"{int(number):03}").touch()


def test_devices_are_known_by_their_numbers(tmp_path):
    plug(tmp_path, "1-1", "046d:c077", number="2")
    plug(tmp_path, "1-2", "1a6e:089a", number="3")
    plug(tmp_path, "2-1", "18d1:9302", speed="480", number="4")
    plug(tmp_path, "2-2", "18d1:9302", number="5", node=False)
    (tmp_path / "dev/apex_0").touch()
    bus = tmp_path / "dev/bus/usb/001"
    assert edgetpu_device.devices(tmp_path) == (
        Device(bus / "003", "usb", may_open=True),
        Device(bus / "004", "usb", may_open=True, slow=True),
        Device(bus / "005", "usb", may_open=False),
        Device(tmp_path / "dev/apex_0", "pci", may_open=True),
    )


def test_machine_without_usb_has_no_devices(tmp_path):
    assert edgetpu_device.devices(tmp_path) == ()


def test_library_lies_in_the_systems_folders(monkeypatch, tmp_path):
    assert edgetpu_device.library("libedgetpu.so.1", tmp_path) is None
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/libedgetpu.so.1").touch()
    found = edgetpu_device.library("libedgetpu.so.1", tmp_path)
    assert found == str(tmp_path / "usr/lib/libedgetpu.so.1")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/libedgetpu.so.1").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path / 'own'}")
    found = edgetpu_device.library("libedgetpu.so.1", tmp_path)
    assert found == str(tmp_path / "own/libedgetpu.so.1")


def test_device_alone_can_be_tried(monkeypatch, standin):
    edgetpu.attempt(standin, None)
    edgetpu.attempt.cache_clear()
    monkeypatch.setenv("EDGETPU_STANDIN", "crash")
    with pytest.raises(EngineError, match="crashes with SIGABRT while opening the device: it was"):
        edgetpu.attempt(standin, None)
