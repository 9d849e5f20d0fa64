"""Requests to a board over a serial line: sent again where the line damages them."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from edgenet.errors import MissingPackage, TargetError
from edgenet.mcu.frame import ERROR, LARGEST, LEAST, REPLY, Decoder, Frame, encode

if TYPE_CHECKING:
    import serial

VERSION = 1
_HELLO = struct.Struct("<BBHIIII16s")
_BAD_CRC = 1
_REASONS = {2: "it does not know the request", 3: "the request is out of range"}
COUNTERS = {0: "", 1: "dwt", 2: "systick", 3: "own"}
TOO_LONG = 0xFFFFFFFF
"""Cycles of what outlasts the counter."""


class Stream(Protocol):
    """A serial port; ``read`` gives what has come, and waits a moment where that is nothing."""

    def read(self) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Hello:
    """What a board says of itself.

    Attributes:
        counter: what counts its cycles: ``dwt``, ``systick``, ``own``; empty for nothing.
        payload: bytes that a frame to it may carry.
        arena: bytes of the model's RAM.
        inputs: bytes of a picture.
        outputs: bytes of a result.
        layers: of the model.
        digest: of the model, 16 digits.
        name: of the model.
    """

    counter: str
    payload: int
    arena: int
    inputs: int
    outputs: int
    layers: int
    digest: str
    name: str


def open_port(name: str, *, baud: int = 115_200) -> Stream:
    """A serial port by its name, such as /dev/ttyACM0 or COM3.

    Raises:
        MissingPackage: pyserial is not installed.
        TargetError: the port cannot be opened.
    """
    try:
        import serial
    except ImportError:
        raise MissingPackage("pyserial", "mcu", needed_for="a serial port") from None
    try:
        port = serial.Serial(name, baud, timeout=0.05, write_timeout=5)
        port.reset_input_buffer()
    except (serial.SerialException, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TargetError(
            f"the port {name} cannot be opened: {reason}; is the board plugged in, and may this"
            " user open it (group dialout)?"
        ) from error
    return _Port(port)


class _Port:
    """pyserial's port; its own ``read`` waits for as many bytes as it is asked for."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port

    def read(self) -> bytes:
        return bytes(self._port.read(max(1, self._port.in_waiting)))

    def write(self, data: bytes) -> int | None:
        return cast("int | None", self._port.write(data))

    def close(self) -> None:
        self._port.close()


class Link:
    """A board at a serial port; for one thread at a time.

    Args:
        stream: the opened port.
        name: of the port, for sentences.
        timeout_s: how long the board may take to answer, but for runs of the model.
        run_s: how long one run may take.
        attempts: how often a request is sent before the board is given up.
    """

    def __init__(
        self,
        stream: Stream,
        name: str,
        *,
        timeout_s: float = 1.0,
        run_s: float = 60.0,
        attempts: int = 4,
    ) -> None:
        self._stream = stream
        self._name = name
        self._timeout_s = timeout_s
        self._run_s = run_s
        self._attempts = attempts
        self._decoder = Decoder()
        self._sequence = 0
        self._payload = LEAST

    def hello(self) -> Hello:
        """What the board says of itself; the conversation begins anew.

        Raises:
            TargetError: nobody answers, in another version, or with impossible sizes.
        """
        payload = self._ask("H")
        if len(payload) < _HELLO.size or payload[0] != VERSION:
            raise TargetError(
                f"the board at {self._name} speaks version {payload[:1].hex() or 'none'} of the"
                f" protocol, this edgenet version {VERSION}; build its firmware from this bundle"
            )
        _, counter, size, arena, inputs, outputs, layers, digest = _HELLO.unpack_from(payload)
        if not LEAST <= size <= LARGEST:
            raise TargetError(
                f"the board at {self._name} takes frames of {size} bytes, and {LEAST} to {LARGEST}"
                " are possible; build its firmware with another EDGENET_SERIAL_PAYLOAD"
            )
        self._payload = size
        return Hello(
            counter=COUNTERS.get(counter, ""),
            payload=size,
            arena=arena,
            inputs=inputs,
            outputs=outputs,
            layers=layers,
            digest=digest.decode("ascii", "replace"),
            name=payload[_HELLO.size :].decode("ascii", "replace"),
        )

    def write(self, picture: bytes) -> None:
        """Put the model's input into the arena."""
        step = self._payload - 4
        for at in range(0, len(picture), step):
            self._ask("W", struct.pack("<I", at) + picture[at : at + step], size=0)

    def run(self, *, by_layer: bool = False) -> int:
        """Run the model: cycles of the board's own counter, 0 where it has none.

        ``TOO_LONG`` where a layer outlasts the counter.
        """
        answer = self._ask("R", bytes([by_layer]), size=4, timeout_s=self._run_s)
        return int.from_bytes(answer, "little")

    def output(self, size: int) -> bytes:
        """The model's output."""
        return self._read("O", size)

    def layers(self, count: int) -> tuple[int, ...]:
        """Cycles of each layer in the last run that was asked for them."""
        return struct.unpack(f"<{count}I", self._read("L", 4 * count))

    def selftest(self) -> int:
        """What the model's own selftest says on the board."""
        return int.from_bytes(self._ask("S", size=4, timeout_s=self._run_s), "little", signed=True)

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()

    def _read(self, kind: str, size: int) -> bytes:
        parts = []
        for at in range(0, size, self._payload):
            count = min(self._payload, size - at)
            parts.append(self._ask(kind, struct.pack("<IH", at, count), size=count))
        return b"".join(parts)

    def _ask(
        self,
        kind: str,
        payload: bytes = b"",
        *,
        size: int | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Send a request until its answer comes.

        Raises:
            TargetError: no whole answer comes, it has not ``size`` bytes, or the board refuses the
                request.
        """
        self._sequence = (self._sequence + 1) % 256
        request = Frame(ord(kind), self._sequence, payload)
        for attempt in range(self._attempts):
            if attempt:
                self._decoder = Decoder()
                # fills up a frame whose damaged size the board still waits for
                self._send(bytes(self._payload + 16))
            self._send(encode(request))
            answer = self._wait(request, self._timeout_s if timeout_s is None else timeout_s)
            if answer is not None:
                if size is not None and len(answer) != size:
                    raise TargetError(
                        f"the board at {self._name} answers {kind!r} with {len(answer)} bytes, and"
                        f" {size} are due; its firmware does not keep to docs/serial.md: build it"
                        " from this bundle"
                    )
                return answer
        raise TargetError(
            f"the board at {self._name} does not answer; is the firmware of docs/serial.md on it,"
            " and is no other program at the port?"
        )

    def _send(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except OSError as error:
            raise self._lost(error) from error

    def _wait(self, request: Frame, timeout_s: float) -> bytes | None:
        """The answer; None where the request is to be sent again."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                data = self._stream.read()
            except OSError as error:
                raise self._lost(error) from error
            for frame in self._decoder.feed(data):
                if frame.kind == ERROR and frame.payload[:1] == bytes([_BAD_CRC]):
                    return None
                if frame.sequence != request.sequence:
                    continue
                if frame.kind == ERROR:
                    reason = _REASONS.get(next(iter(frame.payload), 0), "for a reason of its own")
                    raise TargetError(f"the board at {self._name} refuses: {reason}")
                if frame.kind == request.kind | REPLY:
                    return frame.payload
        return None

    def _lost(self, error: OSError) -> TargetError:
        return TargetError(f"the port {self._name} was lost: {error}; plug the board in again")
