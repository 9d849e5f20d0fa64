"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from edgenet.dataset import Dataset
    from edgenet.dataset.split import Progress


FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)


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
