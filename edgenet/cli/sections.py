"""Help whose options stand under headings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click


class Sections(click.Command):
    """A command with many options; those that no heading names come under "Options".

    Args:
        sections: for each heading the names of its options' parameters.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **others: Any) -> None:
        super().__init__(*args, **others)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the headings in their order, and what is left at the end."""
        left = {one.name: one for one in self.get_params(ctx) if isinstance(one, click.Option)}
        parts = {
            heading: [left.pop(name) for name in names] for heading, names in self.sections.items()
        }
        parts["Options"] = list(left.values())
        for heading, params in parts.items():
            records = [record for one in params if (record := one.get_help_record(ctx))]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def options(*many: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in their order."""

    def decorate(function: Any) -> Any:
        for one in reversed(many):
            function = one(function)
        return function

    return decorate
