from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgenet.cli import main as cli
from edgenet.cli.options import TargetName, data_option, typed


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@data_option("Pictures.")
@click.option("--target", type=TargetName())
@click.option("--set", "changes", multiple=True)
@click.option("--num-threads", type=int, default=1)
@click.option("--layers", is_flag=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
@click.pass_context
def measure(ctx: click.Context, /, **_: object) -> None:
    click.echo(typed(ctx))


@pytest.mark.parametrize(
    ("words", "recorded"),
    [
        (["b"], "BUNDLE"),
        (["b", "--data", "digits"], "BUNDLE --data digits"),
        (["--data=/home/me/cats", "b"], "BUNDLE --data DATA"),
        (["b", "--data", "cats"], "BUNDLE --data DATA"),
        (["b", "--data", "cifar10:/data/cifar"], "BUNDLE --data DATA"),
        (["b", "-oout/x"], "BUNDLE -o OUT"),
        (["b", "--output", "y", "--layers"], "BUNDLE -o OUT --layers"),
        (["b", "--target", "rpi", "--num-threads", "1"], "BUNDLE --target rpi --num-threads 1"),
        (["b", "--target", "../mine"], "BUNDLE --target TARGET"),
        (["b", "--set", "lr=1", "--set", "a b=2"], "BUNDLE --set lr=1 --set 'a b=2'"),
    ],
)
def test_the_recorded_command_is_what_was_typed_without_places(
    monkeypatch: pytest.MonkeyPatch, words: list[str], recorded: str
) -> None:
    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: measure)
    # the process has another command line: pytest's, or that of 'edgenet demo'
    monkeypatch.setattr(sys, "argv", ["edgenet", "demo"])
    result = CliRunner().invoke(cli.main, ["profile", *words])
    assert result.output == f"edgenet profile {recorded}\n"


def commands_with(option: str) -> list[str]:
    """Names of the commands that have an option."""
    context = click.Context(cli.main)
    found = []
    for name in cli.main.list_commands(context):
        command = cli.main.get_command(context, name)
        assert command is not None
        found += [name] if any(option in one.opts for one in command.params) else []
    return found


def test_the_commands_that_draw_are_found() -> None:
    assert {"evaluate", "export", "fit", "quantize", "train"} <= set(commands_with("--seed"))


@pytest.mark.parametrize("name", commands_with("--seed"))
def test_a_seed_below_zero_is_refused_by_every_command(name: str) -> None:
    result = CliRunner().invoke(cli.main, [name, "--seed", "-1"])
    assert result.exit_code == 2
    assert "Invalid value for '--seed': -1 is not in the range" in result.stderr


@pytest.mark.parametrize("name", ["evaluate", "export", "quantize", "train"])
def test_a_seed_beyond_32_bits_is_refused(name: str) -> None:
    result = CliRunner().invoke(cli.main, [name, "--seed", str(2**32)])
    assert result.exit_code == 2
    assert "Invalid value for '--seed'" in result.stderr
