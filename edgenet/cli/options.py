"""Options that several commands share."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from edgenet.dataset import Dataset
    from edgenet.dataset.split import Progress

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

WORDS = "edgenet.words"

SEED = click.IntRange(0, 2**32 - 1)
"""What seeds every generator that is drawn from: numpy's, torch's and Lightning's."""


class TargetName(click.ParamType[str]):
    """A target that ships with edgenet, or the path of a target's folder."""

    name = "target"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NAME|FOLDER"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        from edgenet import target

        return f"Choose from: {', '.join(target.names())}, or give a target's folder."

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from edgenet import target

        return [CompletionItem(name) for name in target.names() if name.startswith(incomplete)]


class Numbers(click.ParamType[list[Any]]):
    """Numbers of one type, separated by commas."""

    name = "N,N,..."

    def __init__(
        self,
        number: type[int] | type[float],
        *,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> None:
        self.number = number
        self.least = least
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> list[Any]:
        kind = "whole numbers" if self.number is int else "numbers"
        try:
            numbers = [self.number(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is no list of {kind} separated by commas")
        for one in numbers:
            if one < self.least or one > self.most:
                self.fail(f"{value!r}: each must be from {self.least:g} to {self.most:g}")
        return numbers


def data_option(help: str, *, required: bool = False) -> Callable[[FC], FC]:
    """``--data``: a data set by name or folder."""
    return click.option(
        "--data",
        required=required,
        metavar="digits|cifar10|DIR",
        help=help,
    )


def dataset_of(source: str | None, *, progress: Progress) -> Dataset | None:
    """The data set that ``--data`` names; None when it is not given."""
    if source is None:
        return None
    from edgenet.dataset import open_dataset

    return open_dataset(source, progress=progress)


def typed(ctx: click.Context) -> str:
    """The command as it was typed, for records that others read and that are the same anywhere.

    Arguments come first, then options in their order.  A place of this machine is written as the
    name of what was given there: DATA, MODEL, BUNDLE, OUT.
    """
    values, _, order = ctx.command.make_parser(ctx).parse_args(list(ctx.meta[WORDS]))
    words: list[str] = []
    for param in sorted(dict.fromkeys(order), key=lambda one: isinstance(one, click.Option)):
        name = param.name or ""
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        given = values[name] if isinstance(values[name], list) else [values[name]]
        for value in given:
            words += param.opts[:1] if isinstance(param, click.Option) else []
            words += [] if getattr(param, "is_flag", False) else [_without_place(param, value)]
    return shlex.join(["edgenet", ctx.info_name or "", *words])


def _without_place(param: click.Parameter, value: str) -> str:
    from edgenet.dataset import NAMES

    if param.name == "data":
        place = value not in NAMES
    else:
        place = isinstance(param.type, click.Path) or "/" in value or "\\" in value
    if not place:
        return value
    name = max(param.opts, key=len).strip("-").upper()
    return "OUT" if name == "OUTPUT" else name
