"""Targets: each is a folder with target.toml, runner.py and README.md, found by looking for it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import shutil
import sys
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.machinery import ModuleSpec
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import cast

import msgspec

from edgenet import board as boards
from edgenet import runtime
from edgenet.board import Board
from edgenet.bundle import Bundle
from edgenet.codegen import tools
from edgenet.errors import EdgenetError, TargetError, UsageError, unknown
from edgenet.runner import Device, Runner
from edgenet.spec import ASKED_FOR, COMPILED_FROM, Quantization, Variant

_SHIPPED = "edgenet.targets"
_FILE = "target.toml"
ENGINES = (*runtime.NAMES, tools.ENGINE)
"""What runs models: engines on a CPU, and generated C."""


class Requires(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a target needs on the machine that it runs on.

    Attributes:
        extra: the extra that installs it: ``pip install 'edgenet[extra]'``.
        packages: modules that must be importable; ``a|b`` is met by either.
        tools: commands that must be on the PATH; ``a|b`` is met by either.
    """

    extra: str
    packages: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a service on the device may use, beside cameras.

    Attributes:
        groups: that own the hardware; those that a device lacks are left out there.
        devices: as systemd's DeviceAllow= takes them, such as ``char-usb_device rw``.
    """

    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What target.toml says.

    Attributes:
        name: equal to the folder's.
        title: what people call the device.
        backends: engines that run its models, the preferred one first.
        variants: models that its bundles hold, the preferred one first.
        quantize: what its bundles may hold by ``edgenet export --quantize``, the preferred one
            first.
        requires: what it needs to run.
        limits: on drift, by name; see ``edgenet evaluate --help``.
        service: what ``edgenet deploy`` lets its service use.
    """

    name: str
    title: str
    backends: tuple[str, ...]
    variants: tuple[Variant, ...]
    requires: Requires
    quantize: tuple[Quantization, ...] = ("int8",)
    limits: dict[str, float] = {}
    service: Service = Service()

    def __post_init__(self) -> None:
        if not self.backends or not self.variants:
            raise ValueError("backends and variants need at least one name each")
        for backend in self.backends:
            if backend not in ENGINES:
                raise ValueError(unknown("backend", backend, ENGINES))


@dataclass(frozen=True, slots=True)
class Target:
    """A device, or a kind of device, that edgenet exports for."""

    folder: Traversable
    description: Description
    package: str

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def title(self) -> str:
        return self.description.title

    @property
    def backends(self) -> tuple[str, ...]:
        return self.description.backends

    @property
    def variants(self) -> tuple[Variant, ...]:
        return self.description.variants

    @property
    def runnable(self) -> tuple[Variant, ...]:
        """All that its bundles may hold, the preferred one first.

        What was asked for goes before float32, unless the target prefers that to everything.
        """
        own, known = self.variants, self.description.quantize
        floats = [place for place, one in enumerate(own) if precision(one) == "fp32"]
        place = (floats and floats[0]) or len(own)
        return (
            *own[:place],
            *(ASKED_FOR[name] for name in known if name in ASKED_FOR),
            *own[place:],
        )

    def to_export(self, quantize: Collection[Quantization] = ()) -> tuple[Variant, ...]:
        """What its bundles hold: the target's variants, or float32 ones and what is asked for.

        Raises:
            UsageError: it does not run what is asked for.
        """
        known = self.description.quantize
        for name in quantize:
            if name not in known:
                raise UsageError(
                    f"target {self.name} runs {', '.join(known)}, not {name}; choose among those,"
                    " or name another --target"
                )
        if "none" in quantize and len(set(quantize)) > 1:
            raise UsageError("--quantize none stands alone: it leaves everything in float32")
        if not quantize:
            return self.variants
        wanted = {"fp32", *quantize}
        return (
            *(variant for variant in self.variants if precision(variant) in wanted),
            *(ASKED_FOR[name] for name in known if name in quantize and name in ASKED_FOR),
        )

    @property
    def limits(self) -> dict[str, float]:
        return dict(self.description.limits)

    def missing(self) -> list[str]:
        """The packages and tools that this machine lacks, as target.toml names them."""
        requires = self.description.requires
        return [
            name
            for names, found in ((requires.packages, _importable), (requires.tools, _on_path))
            for name in names
            if not any(found(alternative) for alternative in name.split("|"))
        ]

    def choose(self, bundle: Bundle) -> Variant:
        """The target's preferred variant among those that the bundle holds and this machine runs.

        One that is compiled for a device is not passed over where that is missing: the device is
        what the target is for.

        Raises:
            TargetError: the bundle holds none of the target's variants.
            EngineError, MissingPackage: no engine for any of them works here, or not the device's.
        """
        held = [variant for variant in self.runnable if variant in bundle.variants]
        if not held:
            raise TargetError(
                f"{bundle.root} holds {', '.join(bundle.variants) or 'no model'}, but {self.name}"
                f" runs {', '.join(self.runnable)}; run: edgenet export --target {self.name}"
            )
        reasons: list[EdgenetError] = []
        for variant in held:
            try:
                runtime.check(variant)
            except EdgenetError as error:
                if variant in COMPILED_FROM:
                    raise
                reasons.append(error)
            else:
                return variant
        raise reasons[0]

    def runner(self, bundle: Bundle, **options: object) -> Runner:
        """Open a bundle with the target's runner.py.

        Args:
            bundle: an opened bundle.
            options: what the runner takes, such as ``variant`` and ``threads``.

        Raises:
            TargetError: runner.py is missing, does not define ``runner``, or takes no such option.
            UsageError: a backend is named, and the target has no choice of them.
        """
        self.check_options(bundle, **options)
        return cast("Runner", self._module().runner(self, bundle, **options))

    @property
    def on_boards(self) -> bool:
        """Whether models run on a board that this machine compiles for, emulates or talks to."""
        return self._runner_py.is_file() and hasattr(self._module(), "device")

    def device(self, bundle: Bundle, *, board: str | None, port: str | None) -> Device:
        """The board that runs a bundle's model.

        Args:
            bundle: an opened bundle.
            board: its name or file; None for the bundle's, else the target's.
            port: of a real board.

        Raises:
            UsageError: there is no such board, or the target has none.
        """
        if not self.on_boards:
            self._refuse_boards(board, port)
        return cast("Device", self._module().device(self, bundle, board=board, port=port))

    def complete(
        self, bundle: Bundle, destination: Path, *, board: str | None, sram_budget: int | None
    ) -> tuple[Bundle, str]:
        """The bundle with what the target makes of its model, and what to say of it.

        Args:
            bundle: as it was written.
            destination: where the completed one goes.
            board: that it is made for.
            sram_budget: bytes of RAM that it may take at the most.

        Raises:
            ExportError: it does not fit.
        """
        make = self._module().complete
        done = make(self, bundle, destination, board=board, sram_budget=sram_budget)
        return cast("tuple[Bundle, str]", done)

    def check_board(
        self,
        board: str | None,
        sram_budget: int | None = None,
        *,
        bundle: Bundle | None = None,
    ) -> None:
        """Refuse what only boards have, and boards that there are not.

        Args:
            board: its name or file.
            sram_budget: as it was given.
            bundle: that may keep a board of its own.

        Raises:
            UsageError: with what there is.
        """
        if not self.on_boards:
            self._refuse_boards(board, sram_budget)
        elif board is not None:
            self.board(board, bundle)

    def boards(self) -> list[str]:
        """The boards whose files lie with the target."""
        place = self.folder.joinpath("boards")
        names = [file.name for file in place.iterdir()] if place.is_dir() else []
        return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))

    def board(self, name: str, bundle: Bundle | None = None) -> Board:
        """One of the target's boards, that of a bundle, or a file of one's own.

        Raises:
            UsageError: there is no such board, or it is no microcontroller's.
            TargetError: its file is malformed.
        """
        program = bundle.manifest.program if bundle is not None else None
        if program is not None and program.own_board is not None and program.board == name:
            return program.own_board
        known = self.boards()
        if known and not name.endswith(".toml") and name not in known:
            raise UsageError(
                f"{unknown('board', name, known)}; a file of your own, .toml, will do too"
            )
        found = boards.load(name)
        if not found.microcontroller:
            raise UsageError(
                f"{name} has a {found.core}, which is no microcontroller; choose one of"
                f" {', '.join(known)}, or give a file of your own, .toml"
            )
        return found

    def _refuse_boards(self, *given: object) -> None:
        if any(one is not None for one in given):
            raise UsageError(
                f"{self.name} has no choice of boards; leave --board, --port and --sram-budget out,"
                " or give a --target for microcontrollers"
            )

    def check_options(self, bundle: Bundle, **options: object) -> None:
        """Refuse options that the runner does not take; nothing is opened.

        Raises:
            TargetError, UsageError: as ``runner``.
        """
        make = getattr(self._module(), "runner", None)
        if make is None:
            raise TargetError(
                f"{self.folder}/runner.py defines no function runner(target, bundle, **options)"
            )
        signature = inspect.signature(make)
        if "backend" in options and "backend" not in signature.parameters:
            raise UsageError(
                f"{self.name} has no choice of engine: the model's format decides"
                f" ({', '.join(self.backends)}); leave --backend out"
            )
        if "streams" in options and "streams" not in signature.parameters:
            raise UsageError(f"{self.name} takes one frame at a time; leave --streams out")
        for name in {"board", "port"} & (options.keys() - signature.parameters.keys()):
            self._refuse_boards(name)
        try:
            signature.bind(self, bundle, **options)
        except TypeError as error:
            raise TargetError(f"{self.name}'s runner cannot be opened: {error}") from error

    @property
    def _runner_py(self) -> Traversable:
        return self.folder.joinpath("runner.py")

    def _module(self) -> ModuleType:
        if not self._runner_py.is_file():
            raise TargetError(f"{self.folder} has no runner.py, so the target cannot be run")
        if self.package.startswith(_SHIPPED):
            return importlib.import_module(f"{self.package}.runner")
        # A folder elsewhere becomes a package of its own, so that its relative imports work.
        if self.package not in sys.modules:
            spec = ModuleSpec(self.package, None, is_package=True)
            spec.submodule_search_locations = [str(self.folder)]
            sys.modules[self.package] = importlib.util.module_from_spec(spec)
        return importlib.import_module(f"{self.package}.runner")


def precision(variant: Variant) -> str:
    """What a variant computes in: ``int8`` for ``int8_edgetpu.tflite``."""
    return variant.partition(".")[0].partition("_")[0]


def lacking(engine: str) -> str:
    """Why an engine of ``ENGINES`` cannot be used here, in a sentence; empty where it can."""
    return tools.lacking_engine() if engine == tools.ENGINE else runtime.lacking(engine)


def names() -> list[str]:
    """The targets that ship with edgenet, sorted."""
    return sorted(folder.name for folder in _shipped())


def load(name: str) -> Target:
    """Read a target.

    Args:
        name: of a target that ships with edgenet, or the path of a target's folder.

    Raises:
        TargetError: the folder has no target.toml, or it is malformed.
        UsageError: there is no such target.
    """
    for folder in _shipped():
        if folder.name == name:
            return Target(folder, _read(folder), f"{_SHIPPED}.{name}")
    path = Path(name)
    if not path.is_dir():
        raise UsageError(f"{unknown('target', name, names())}; a target's folder will do too")
    path = path.resolve()
    return Target(path, _read(path), f"edgenet_target_{zlib.crc32(bytes(path)):08x}")


def _shipped() -> Iterator[Traversable]:
    for folder in resources.files(_SHIPPED).iterdir():
        if folder.joinpath(_FILE).is_file():
            yield folder


def _read(folder: Traversable) -> Description:
    path = folder.joinpath(_FILE)
    if not path.is_file():
        raise TargetError(f"{folder} has no {_FILE}, so it is not a target")
    try:
        description = msgspec.toml.decode(path.read_bytes(), type=Description)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise TargetError(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    if description.name != folder.name:
        raise TargetError(f"{path}: name is {description.name!r}, the folder's is {folder.name!r}")
    return description


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _on_path(tool: str) -> bool:
    return shutil.which(tool) is not None
