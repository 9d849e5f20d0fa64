"""The processors of three Raspberry Pis, as the emulator knows them and as Linux describes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        qemu: the emulator's name of its processor.  Its default, "max", has matrix extensions that
            no Pi has, and LiteRT's kernels for them give wrong answers there.
        part: the processor's number in /proc/cpuinfo.
        features: what it can do, as there.
        model: the board, as there.
    """

    qemu: str
    part: int
    features: str
    model: str
    variant: int = 0
    revision: int = 3

    def cpuinfo(self) -> str:
        """The text of /proc/cpuinfo; the engines read it, and die of another machine's."""
        core = (
            "BogoMIPS\t: 108.00\n"
            f"Features\t: {self.features}\n"
            "CPU implementer\t: 0x41\n"
            "CPU architecture: 8\n"
            f"CPU variant\t: {self.variant:#x}\n"
            f"CPU part\t: {self.part:#x}\n"
            f"CPU revision\t: {self.revision}\n"
        )
        cores = (f"processor\t: {number}\n{core}\n" for number in range(4))
        return "".join(cores) + f"Hardware\t: BCM2835\nModel\t\t: {self.model}\n"


DEFAULT = "pi4"
PLAIN = "fp asimd evtstrm crc32 cpuid"
BOARDS = {
    "pi3": Board("cortex-a53", 0xD03, PLAIN, "Raspberry Pi 3 Model B Plus Rev 1.3", revision=4),
    "pi4": Board("cortex-a72", 0xD08, PLAIN, "Raspberry Pi 4 Model B Rev 1.5"),
    "pi5": Board(
        "cortex-a76",
        0xD0B,
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc"
        " dcpop asimddp",
        "Raspberry Pi 5 Model B Rev 1.0",
        variant=4,
        revision=1,
    ),
}
