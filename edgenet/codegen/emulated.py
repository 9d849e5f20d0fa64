"""A program that stays in QEMU and answers one picture after the other, through pipes."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from edgenet.codegen import qemu, tools
from edgenet.codegen.qemu import Firmware
from edgenet.errors import TargetError
from edgenet.int8.graph import Array

_LOOK_S = 0.5


class Emulated:
    """Firmware that runs until ``close``; for one thread at a time.

    Raises:
        TargetError: QEMU is missing.
    """

    def __init__(self, firmware: Firmware) -> None:
        if reason := tools.lacking(tools.EMULATOR):
            raise TargetError(reason)
        self._firmware = firmware
        self._folder = tempfile.TemporaryDirectory(prefix="edgenet-qemu-")
        work = Path(self._folder.name)
        os.mkfifo(work / "in.bin")
        os.mkfifo(work / "out.bin")
        # for both ends, so that opening does not wait for QEMU
        self._in = os.open(work / "in.bin", os.O_RDWR | os.O_NONBLOCK)
        self._out = os.open(work / "out.bin", os.O_RDONLY | os.O_NONBLOCK)
        self._process = subprocess.Popen(
            qemu.command(firmware, "-serial", "none"),
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def answer(self, inputs: Array) -> Array:
        """Outputs, int8 (pictures, size), of inputs int8 (pictures, size).

        Raises:
            TargetError: the program stopped, or hangs.
        """
        given = np.ascontiguousarray(inputs, np.int8).reshape(len(inputs), -1)
        rows = [self._one(memoryview(picture.tobytes())) for picture in given]
        return np.frombuffer(b"".join(rows), np.int8).reshape(len(given), -1)

    def _one(self, left: memoryview) -> bytes:
        found, end = b"", time.monotonic() + tools.LIMIT_S
        while len(found) < self._firmware.outputs:
            readable, writable, _ = select.select(
                [self._out] if not left else [], [self._in] if left else [], [], _LOOK_S
            )
            if writable:
                left = left[os.write(self._in, left) :]
            if readable:
                found += os.read(self._out, self._firmware.outputs - len(found))
            if self._process.poll() is not None:
                words = " ".join((self._process.communicate()[0] or "").split())[-400:]
                raise TargetError(
                    f"the program stopped on {self._firmware.board.name} with"
                    f" {self._process.returncode}: {words or 'it said nothing'}"
                )
            if time.monotonic() > end:
                raise TargetError(
                    f"{self._firmware.board.name} gave no answer within {tools.LIMIT_S} s; does its"
                    " file say where QEMU's machine has its memory?"
                )
        return found

    def close(self) -> None:
        """Stop QEMU."""
        self._process.kill()
        self._process.communicate()
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()
