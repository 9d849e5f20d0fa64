"""The ``edgenet`` command: a group that imports a subcommand only when it is called."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import click

from edgenet import __version__
from edgenet.cli.options import WORDS
from edgenet.errors import EdgenetError, unknown

COMMANDS = {
    "info": "Count a MobileNet's parameters, multiply-adds and memory.",
    "fit": "Find the networks that fit a device, before training.",
    "train": "Train a MobileNet on labelled images.",
    "quantize": "Quantize a checkpoint to int8.",
    "export": "Write a bundle for a target.",
    "bundle": "Make a bundle of a model that edgenet did not train.",
    "evaluate": "Measure accuracy and the drift of quantization.",
    "check": "Tell what of a model the Edge TPU runs.",
    "verify": "Prove that this machine computes what the host computed.",
    "deploy": "Run a bundle on a device, for good.",
    "run": "Classify pictures or a camera.",
    "profile": "Measure latency and memory.",
    "compare": "Compare two profiles.",
    "targets": "List the devices that edgenet exports for.",
    "doctor": "Check what is installed and how to mend what is not.",
    "demo": "Train, export, evaluate and profile a small model.",
}


class LazyGroup(click.Group):
    """Finds a command in the module of its name, so that ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgenet.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(unknown("command", args[0], COMMANDS), ctx)
        ctx.meta[WORDS] = args[1:]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EdgenetError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgenet")
@click.option("-v", "--verbose", is_flag=True, help="Show what the libraries underneath log.")
def main(verbose: bool) -> None:
    """From labelled images to a measured int8 MobileNet on your device."""
    logging.basicConfig(level=logging.DEBUG if verbose else logging.ERROR)
