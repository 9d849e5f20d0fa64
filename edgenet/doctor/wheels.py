"""For which systems the engines are published as wheels; asked of PyPI in November 2026."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class System:
    """What a wheel is chosen by.

    Attributes:
        os: ``sys.platform``: linux, darwin, win32.
        architecture: as ``environment.architecture`` names it.
        python: major and minor version.
        glibc: major and minor version; None where the C library is another (musl, macOS).
    """

    os: str
    architecture: str
    python: tuple[int, int]
    glibc: tuple[int, int] | None

    def __str__(self) -> str:
        name = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}.get(self.os, self.os)
        libc = " without glibc" if self.os == "linux" and self.glibc is None else ""
        return f"Python {self.python[0]}.{self.python[1]} on {name} {self.architecture}{libc}"


@dataclass(frozen=True, slots=True)
class Wheels:
    """The systems that a package is published for.

    Attributes:
        pythons: first and last minor version of Python 3.
        linux: architecture to the oldest glibc.
        others: systems other than Linux, with their architectures.
    """

    pythons: tuple[int, int]
    linux: dict[str, tuple[int, int]]
    others: tuple[tuple[str, str], ...] = ()

    def suit(self, system: System) -> bool:
        """Whether there is a wheel for the system."""
        first, last = self.pythons
        if not (3, first) <= system.python <= (3, last):
            return False
        if system.os != "linux":
            return (system.os, system.architecture) in self.others
        oldest = self.linux.get(system.architecture)
        return oldest is not None and system.glibc is not None and system.glibc >= oldest


_DESKTOPS = (("darwin", "arm64"), ("win32", "x86_64"))

WHEELS = {
    "ai-edge-litert": Wheels((11, 14), {"x86_64": (2, 27), "aarch64": (2, 27)}, _DESKTOPS),
    "tflite-runtime": Wheels((9, 11), {"x86_64": (2, 17), "aarch64": (2, 34), "armv7l": (2, 34)}),
    "onnxruntime": Wheels((11, 14), {"x86_64": (2, 27), "aarch64": (2, 27)}, _DESKTOPS),
    # The exporters' litert-converter has none for Linux on aarch64.
    "the host extra": Wheels((11, 13), {"x86_64": (2, 28)}, (("darwin", "arm64"),)),
}
