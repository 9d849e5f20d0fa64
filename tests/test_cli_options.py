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
