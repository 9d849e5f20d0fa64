"""Boards at a serial port: frames, a line that damages them, and QEMU's board behind a pty."""

from __future__ import annotations

import json
import re
import shutil
import signal
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenet.board import load as board
from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.codegen import qemu, tools
from edgenet.errors import MissingPackage, TargetError
from edgenet.mcu import link, make
from edgenet.mcu.device import Device
from edgenet.mcu.frame import ERROR, REPLY, Decoder, Frame, encode
from edgenet.mcu.link import Link

TINY = Bundle.open(Path(__file__).parent.parent / "golden" / "tiny")
FIRMWARE = Path(tools.__file__).parent / "firmware"
frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40))


# frames


@given(st.lists(frames, max_size=4), st.integers(1, 9))
def test_frames_come_back_in_whatever_pieces_they_arrive(sent, step):
    stream, decoder = b"".join(map(encode, sent)), Decoder()
    found = [f for at in range(0, len(stream), step) for f in decoder.feed(stream[at : at + step])]
    assert found == sent


@given(st.binary(max_size=60).filter(lambda b: b"\xed" not in b), frames, frames)
def test_what_is_no_frame_is_passed_over(noise, first, second):
    assert Decoder().feed(noise + encode(first) + noise + encode(second)) == [first, second]


@given(frames.filter(lambda f: f.payload), st.data())
@settings(max_examples=200)
def test_a_damaged_frame_is_never_taken_for_one(frame, data):
    whole = bytearray(encode(frame))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    follower = Frame(1, 2, b"next")
    found = Decoder().feed(bytes(whole) + encode(follower) + bytes(5000))
    assert frame not in found
    assert follower in found


# the conversation


class Played:
    """A board of a few lines of Python; ``answer`` maps a request to bytes."""

    def __init__(self, answer):
        self.answer, self.asked, self._decoder, self._bytes = answer, [], Decoder(), b""

    def write(self, data):
        for frame in self._decoder.feed(data):
            self.asked.append(frame)
            self._bytes += self.answer(frame, len(self.asked))
        return len(data)

    def read(self):
        data, self._bytes = self._bytes, b""
        return data

    def close(self):
        pass


def reply(frame, payload=b""):
    return encode(Frame(frame.kind | REPLY, frame.sequence, payload))


def test_a_request_is_sent_again_where_the_board_found_damage_or_its_answer_was_lost():
    bad_crc = lambda frame: encode(Frame(ERROR, frame.sequence, b"\x01"))  # noqa: E731
    answers = [
        bad_crc,
        lambda f: reply(f, b"\x07\0\0\0")[:-1] + b"?",
        lambda f: reply(f, b"\7\0\0\0"),
    ]
    played = Played(lambda frame, count: answers[count - 1](frame))
    assert Link(played, "here", timeout_s=0.05, run_s=0.05).run() == 7
    # with one number, so that the board does not run twice
    assert len({frame.sequence for frame in played.asked}) == 1
    assert len(played.asked) == 3


def test_an_answer_to_an_earlier_request_is_left_alone():
    played = Played(
        lambda frame, count: (
            encode(Frame(frame.kind | REPLY, frame.sequence ^ 1, b"\1\0\0\0"))
            + reply(frame, b"\2\0\0\0")
        )
    )
    assert Link(played, "here").run() == 2


def test_a_board_that_does_not_answer_is_given_up():
    played = Played(lambda frame, count: b"Hello from my sketch!\r\n")
    with pytest.raises(TargetError, match="board at here does not answer; is the firmware of"):
        Link(played, "here", timeout_s=0.02).hello()
    assert len(played.asked) == 4


def test_a_refusal_is_said():
    played = Played(lambda frame, count: encode(Frame(ERROR, frame.sequence, b"\x03")))
    with pytest.raises(TargetError, match="the board at here refuses: the request is out of range"):
        Link(played, "here").output(4)


def test_another_version_of_the_protocol_is_refused():
    hello = struct.pack("<BBHIIII16s", 2, 0, 64, 0, 0, 0, 0, b"0" * 16)
    played = Played(lambda frame, count: reply(frame, hello))
    with pytest.raises(TargetError, match="speaks version 02 of the protocol, this edgenet"):
        Link(played, "here").hello()


@pytest.mark.parametrize("size", [0, 3, 4, 63, 4097])
def test_frames_of_impossible_sizes_are_refused(size):
    hello = struct.pack("<BBHIIII16s", 1, 0, size, 0, 0, 0, 0, b"0" * 16)
    played = Played(lambda frame, count: reply(frame, hello))
    with pytest.raises(TargetError, match=f"takes frames of {size} bytes, and 64 to 4096 are"):
        Link(played, "here").hello()


@pytest.mark.parametrize(
    ("ask", "due"),
    [
        (lambda talk: talk.write(b"1234"), 0),
        (lambda talk: talk.run(), 4),
        (lambda talk: talk.output(10), 10),
        (lambda talk: talk.layers(3), 12),
        (lambda talk: talk.selftest(), 4),
    ],
    ids=["write", "run", "output", "layers", "selftest"],
)
@pytest.mark.parametrize("given", [b"", b"12345"])
def test_answers_of_another_length_are_refused(ask, due, given):
    if len(given) == due:
        return
    played = Played(lambda frame, count: reply(frame, given))
    with pytest.raises(TargetError, match=f"with {len(given)} bytes, and {due} are due; its firm"):
        ask(Link(played, "here"))


def test_a_refusal_that_says_nothing_is_one():
    played = Played(lambda frame, count: encode(Frame(ERROR, frame.sequence, b"")))
    with pytest.raises(TargetError, match="refuses: for a reason of its own"):
        Link(played, "here").run()


def told(bundle, **changed):
    """A board that runs a bundle's program, but for what it tells otherwise."""
    from edgenet.mcu.make import written_in

    program = written_in(bundle)
    words = {"arena": "ARENA_BYTES", "inputs": "IN_LEN", "outputs": "OUT_LEN", "layers": "LAYERS"}
    sizes = {word: int(program.number(macro)) for word, macro in words.items()} | changed
    digest = program.digest.encode()
    hello = struct.pack("<BBHIIII16s", 1, 2, 64, *(sizes[word] for word in words), digest)
    cycles = [7] * sizes["layers"]

    def answer(frame, count):
        if frame.kind == ord("L"):
            at, size = struct.unpack("<IH", frame.payload)
            return reply(frame, struct.pack(f"<{len(cycles)}I", *cycles)[at : at + size])
        return reply(frame, {"H": hello, "R": b"\7\0\0\0"}.get(chr(frame.kind), b""))

    device = Device(bundle, board("host"), "here", opened=lambda name: Played(answer))
    return device, cycles


@pytest.mark.parametrize("word", ["arena", "inputs", "outputs", "layers"])
def test_firmware_of_another_plan_is_refused(bundle, word, tmp_path):
    device, _ = told(bundle, **{word: 11})
    with pytest.raises(TargetError, match=r"at here was generated otherwise .* tells 11, and here"):
        device.prepare(tmp_path)


def test_cycles_that_outlast_a_counter_are_not_stated(bundle, tmp_path):
    device, cycles = told(bundle)
    device.prepare(tmp_path)
    codes = np.zeros((1, device.hello.inputs), np.int8)
    cycles[0] = 2**31
    cycles[1] = 2**31 + 5
    assert device.count(codes).cycles == 2**32 + 7  # told modulo 2^32
    cycles[2] = link.TOO_LONG
    name = device.program.layers[2].name
    with pytest.raises(TargetError, match=rf"layer {name} takes more cycles .* \(systick\) can"):
        device.count(codes)


def test_a_port_that_is_lost_is_said():
    class Lost(Played):
        def read(self):
            raise OSError(5, "Input/output error")

    with pytest.raises(TargetError, match=r"the port here was lost: .*plug the board in again"):
        Link(Lost(lambda frame, count: b""), "here").hello()


def test_a_port_that_is_not_there_is_refused(monkeypatch):
    pytest.importorskip("serial")
    result = CliRunner().invoke(
        main, ["verify", str(TINY.root), "--target", "mcu", "--port", "nowhere/ttyACM0"]
    )
    assert result.exit_code == 1
    assert re.search(r"the port nowhere/ttyACM0 cannot be opened: .*; is the board", result.output)
    monkeypatch.setitem(__import__("sys").modules, "serial", None)
    with pytest.raises(MissingPackage, match=r"a serial port needs pyserial.*'edgenet\[mcu\]'"):
        link.open_port("nowhere")


# the firmware

SERIAL = ("start.c", "serial_main.c", "edgenet_serial.c")
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow"]
on_qemu = [
    pytest.mark.qemu,
    pytest.mark.tool("arm-none-eabi-gcc"),
    pytest.mark.tool("qemu-system-arm"),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make.add(TINY, tmp_path_factory.mktemp("bundle") / "tiny", target="mcu").bundle


@pytest.mark.tool("cc")
@pytest.mark.parametrize("macro", ["PLAIN", "EDGENET_SERIAL_CYCLES", "EDGENET_SERIAL_SYSTICK"])
def test_the_firmware_compiles_without_a_warning(bundle, macro):
    places = [f"-I{bundle.root / 'c' / folder}" for folder in ("src", "serial")]
    source = bundle.root / "c" / "serial" / "edgenet_serial.c"
    tools.call(["cc", *STRICT, f"-D{macro}", *places, "-fsyntax-only", str(source)])


@pytest.mark.tool("cc")
@pytest.mark.parametrize("size", [63, 4097])
def test_frames_too_small_or_too_large_are_refused_by_the_compiler(bundle, size):
    places = [f"-I{bundle.root / 'c' / folder}" for folder in ("src", "serial")]
    source = bundle.root / "c" / "serial" / "edgenet_serial.c"
    words = [f"-DEDGENET_SERIAL_PAYLOAD={size}", *places, "-fsyntax-only", str(source)]
    with pytest.raises(TargetError, match="EDGENET_SERIAL_PAYLOAD must be from 64 to 4096"):
        tools.call(["cc", *words])


@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_a_layer_longer_than_systick_is_told(bundle, tmp_path):
    """An instruction takes 1,024 ns here: 25.6 ticks of SysTick, which has 2^24."""
    pytest.importorskip("serial")
    folder = Path(shutil.copytree(bundle.root / "c", tmp_path / "c"))
    (kernel,) = folder.glob("src/*_en_mean_s8.c")
    text = kernel.read_text()
    assert text.count("\n{\n") == 1
    wait = "    for (volatile int32_t i = 0; i < 400000; i++) {\n    }\n"
    kernel.write_text(text.replace("\n{\n", "\n{\n" + wait))
    flags = ["-DEDGENET_SERIAL_SYSTICK"]
    firmware = qemu.build(folder, board("mps2-an386"), tmp_path, flags=flags, harness=SERIAL)
    with served(firmware, "-icount", "shift=10") as (_, port):
        talk = Link(link.open_port(port), port)
        hello = talk.hello()
        assert hello.counter == "systick"
        talk.write(bytes(hello.inputs))
        assert talk.run() == link.TOO_LONG
        talk.write(bytes(hello.inputs))
        talk.run(by_layer=True)
        found = talk.layers(hello.layers)
        slow = [layer.name.startswith("MEAN") for layer in make.written_in(bundle).layers]
        assert any(slow)
        assert [count == link.TOO_LONG for count in found] == slow
        assert all(0 < count < 2**24 for count in found if count != link.TOO_LONG)
        talk.close()


@contextmanager
def served(firmware, *options):
    process = subprocess.Popen(
        qemu.command(firmware, "-serial", "pty", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, re.search(r"/dev/\S+", process.stdout.readline())[0]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def serving(bundle, tmp_path_factory):
    """QEMU with the firmware; its process, and the pty that its UART is at."""
    pytest.importorskip("serial")
    for name in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed; run scripts/setup --tools")
    firmware = qemu.build(
        bundle.root / "c",
        board("mps2-an386"),
        tmp_path_factory.mktemp("serial"),
        flags=["-DEDGENET_SERIAL_SYSTICK"],
        harness=SERIAL,
    )
    with served(firmware) as found:
        yield found


@pytest.fixture
def port(serving):
    return serving[1]


def run(*arguments):
    return CliRunner().invoke(main, [str(word) for word in arguments])


@pytest.mark.qemu
def test_the_commands_work_over_the_port(bundle, port, tmp_path):
    verified = run("verify", bundle.root, "--port", port)
    assert verified.exit_code == 0, verified.output
    assert re.search(r"logits +int8\.tflite +equal +C on the board at /dev/", verified.output)
    assert re.search(r"selftest +int8\.tflite +equal", verified.output)
    profiled = run("profile", bundle.root, "--port", port)
    assert re.search(r"[\d,]+ cycles an inference \(by SysTick\)", profiled.output)
    assert "instructions" not in profiled.output
    assert profiled.output.count("DEPTHWISE_CONV_2D") == 1
    picture = tmp_path / "picture.png"
    import cv2

    cv2.imwrite(str(picture), TINY.golden().frames[4][..., ::-1])
    found = run("run", bundle.root, "--source", picture, "--port", port, "--json")
    assert found.exit_code == 0, found.output
    best = bundle.labels[bundle.golden().outputs["int8.tflite"][4].argmax()]
    assert json.loads(found.stdout)["top"][0]["label"] == best


class Noisy:
    """A line that changes a share of its bytes, both ways, loses them, or puts others in."""

    def __init__(self, stream, rng, share):
        self.stream, self.rng, self.share, self.damaged = stream, rng, share, 0

    def _spoil(self, data):
        passed = bytearray()
        for byte in data:
            kind = self.rng.random() / self.share
            self.damaged += kind < 1
            if kind < 0.5:  # changed
                passed.append(byte ^ int(self.rng.integers(1, 256)))
            elif kind < 0.8:  # something before it
                passed += self.rng.bytes(7) + bytes([byte])
            elif kind >= 1:  # else lost
                passed.append(byte)
        return bytes(passed)

    def write(self, data):
        return self.stream.write(self._spoil(data))

    def read(self):
        return self._spoil(self.stream.read())

    def close(self):
        self.stream.close()


@pytest.mark.qemu
def test_a_damaged_line_costs_time_and_no_bit(bundle, port):
    noise = []

    def opened(name):
        noise.append(Noisy(link.open_port(name), np.random.default_rng(3), 1 / 400))
        return noise[0]

    device = Device(bundle, board("host"), port, opened=opened)
    device.prepare()
    device.link._timeout_s, device.link._attempts = 0.15, 60
    device.link._run_s = 0.3
    device.hello  # noqa: B018
    rng = np.random.default_rng(0)
    codes = rng.integers(-128, 128, (4, device.hello.inputs)).astype(np.int8)
    found = device._at_port(codes)
    here = Device(bundle, board("host"))
    here.prepare()
    np.testing.assert_array_equal(found, here.library.answer(here.library.arena(), codes))
    assert noise[0].damaged >= 3
    device.close()
    here.close()


@pytest.mark.qemu
def test_a_run_that_is_asked_for_twice_is_run_once(bundle, port):
    with_link = link.open_port(port)
    talk = Link(with_link, port)
    hello = talk.hello()
    talk.write(bytes(hello.inputs))
    talk.run()
    expected = talk.output(hello.outputs)
    request = encode(Frame(ord("R"), (talk._sequence - 1) % 256, b"\0"))
    for _ in range(3):
        with_link.write(request)
    assert talk.output(hello.outputs) == expected
    talk.close()


@pytest.mark.qemu
def test_the_wrong_model_on_the_board_is_named(port, tmp_path):
    other = Path(shutil.copytree(TINY.root, tmp_path / "other"))
    device = Device(Bundle.open(other), board("host"), port)
    device._workdir = tmp_path
    vars(device)["program"] = _renamed(device.program)
    with pytest.raises(
        TargetError,
        match=r"runs tiny \(ee2dc1485108d2b4\), this bundle has tiny \(0{16}\); flash the firmware",
    ):
        device.prepare()
    device.close()


def _renamed(program):
    import dataclasses

    return dataclasses.replace(program, macros=program.macros | {"DIGEST": "0" * 16})


@pytest.mark.qemu
def test_a_board_that_stops_answering_is_given_up(bundle, serving):
    process, port = serving
    device = Device(bundle, board("host"), port)
    device.prepare()
    device.link._timeout_s = 0.05
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(TargetError, match=f"the board at {port} does not answer"):
            device._at_port(np.zeros((1, device.hello.inputs), np.int8))
    finally:
        process.send_signal(signal.SIGCONT)
        device.close()
