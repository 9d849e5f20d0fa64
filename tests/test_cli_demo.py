"""The demo shows the commands that it runs; here they are put in the place of the real ones."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenet.cli import demo
from edgenet.cli.main import main


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the demo runs; evaluate and profile return their names, others None."""
    seen: list[list[str]] = []
    original = main.main

    def run(args: list[str], **options: Any) -> Any:
        if args[:1] == ["demo"]:
            return original(args, **options)
        seen.append(args)
        return args[0] if args[0] in ("evaluate", "profile") else None

    monkeypatch.setattr(main, "main", run)
    monkeypatch.setattr(demo, "_save_page", lambda *_: None)
    monkeypatch.setattr(demo, "_results", lambda *records: f"results of {records}")
    return seen


def test_the_demo_shows_exactly_the_commands_that_it_runs(
    tmp_path: Path, ran: list[list[str]]
) -> None:
    result = CliRunner().invoke(main, ["demo", "-o", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    shown = [shlex.split(line.removeprefix("$ edgenet ")) for line in lines if line[:1] == "$"]
    assert shown == ran
    assert [words[0] for words in ran] == ["train", "export", "verify", "evaluate", "profile"]
    assert "results of ('evaluate', 'profile')" in lines
    following = lines[lines.index("Next:") + 1 :]
    assert not {shlex.join(["edgenet", *words]) for words in ran} & {s.strip() for s in following}


@pytest.mark.torch
def test_a_step_that_fails_ends_the_demo_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "TARGET", "rip")
    monkeypatch.setattr(demo, "DATA", "digitz")
    result = CliRunner().invoke(main, ["demo", "-o", str(tmp_path / "demo")])
    assert result.exit_code == 1
    assert "did you mean 'digits'?" in result.output
    assert "edgenet export" not in result.output
