"""The options of targets whose models run on a board that this machine reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgenet.errors import UsageError

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.runner import Device
    from edgenet.target import Target

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)


class Bytes(click.ParamType[int]):
    """Bytes, plain or with a unit: 30000, 30K, 30KB."""

    name = "SIZE"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        from edgenet.fit import units

        text = str(value)
        try:
            return units.size(f"{text}B" if text.isdigit() else text)
        except UsageError as error:
            self.fail(str(error), param, ctx)


board_option = click.option(
    "--board",
    metavar="NAME|FILE.toml",
    help="Microcontroller to run as: its code in QEMU; host is this machine's compiler. With"
    " --port: what must fit.  [default: the bundle's]",
)
made_for_option = click.option(
    "--board",
    metavar="NAME|FILE.toml",
    help="Microcontroller that the program must fit; later commands run as that one by default.",
)
port_option = click.option(
    "--port", metavar="PORT", help="Serial port of a real board, such as /dev/ttyACM0."
)
sram_option = click.option(
    "--sram-budget",
    type=Bytes(),
    metavar="SIZE",
    help="RAM that a microcontroller's arena may take at the most, such as 30K (x 1024).",
)


def board_options(command: FC) -> FC:
    """``--board`` and ``--port``."""
    return board_option(port_option(command))


@contextmanager
def device_of(
    bundle: Bundle, wanted: str | None, board: str | None, port: str | None
) -> Iterator[Device | None]:
    """The board, ready; None where the target runs models without one.

    Args:
        bundle: an opened bundle.
        wanted: a target; None for the bundle's.
        board: a board's name or file.
        port: of a real board.

    Raises:
        UsageError: a board is named, and the target has none.
    """
    found = target_of(bundle, wanted, board, port)
    if found is None:
        yield None
        return
    with closing(found.device(bundle, board=board, port=port)) as device:
        device.prepare()
        yield device


def target_of(
    bundle: Bundle, wanted: str | None, board: str | None, port: str | None
) -> Target | None:
    """The target whose boards run the bundle's model; None where the target has none.

    Raises:
        UsageError: as ``device_of``.
    """
    from edgenet import target

    name = wanted or bundle.manifest.target
    if wanted is None and name not in target.names():
        if board is not None or port is not None:
            raise UsageError(f"the target {name!r} is not installed here; name one with --target")
        return None
    found = target.load(name)
    given = board if board is not None else port if not found.on_boards else None
    found.check_board(given, bundle=bundle)
    return found if found.on_boards else None
