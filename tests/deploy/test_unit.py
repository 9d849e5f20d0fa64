from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgenet.deploy.layout import Layout
from edgenet.deploy.unit import Unit, quote, render
from edgenet.errors import UsageError

UNIT = Unit(
    layout=Layout("edgenet"),
    release="0123456789abcdef",
    title="edgenet: flowers 100 % on picam",
    command=(sys.executable, "-m", "edgenet", "run", "/a bundle", "--on", "a\"b\\c$HOME%i;:1=x'y"),
    groups=("video", "render"),
    start_s=180,
    watchdog_s=45,
)
UNITS = {
    "a camera and its page": UNIT,
    "mqtt, gpio and a secret": replace(
        UNIT, network=True, secrets="/nowhere/secrets", output="journal",
        devices=(*UNIT.devices, "char-gpiochip rw"),
    ),
    "no groups": replace(UNIT, groups=()),
}  # fmt: skip
# of 100; what it is made of is in docs/deploy.md
MOST_EXPOSED = {"a camera and its page": 15, "mqtt, gpio and a secret": 18, "no groups": 15}
every_unit = pytest.mark.parametrize("name", UNITS)


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def write(tmp_path: Path, name: str) -> Path:
    file = tmp_path / "edgenet.service"
    file.write_text(render(UNITS[name]))
    return file


@pytest.mark.tool("systemd-analyze")
@every_unit
def test_systemd_finds_nothing_wrong_with_the_unit(write: Path) -> None:
    run = analyze("verify", "--man=no", "--recursive-errors=no", str(write))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.tool("systemd-analyze")
def test_systemd_does_find_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "edgenet.service"
    file.write_text(render(UNIT).replace("Type=notify", "Type=nothing"))
    run = analyze("verify", "--man=no", "--recursive-errors=no", str(file))
    assert "Failed to parse service type" in run.stderr


@pytest.mark.tool("systemd-analyze")
@every_unit
def test_the_unit_is_hardly_exposed(write: Path, name: str) -> None:
    words = ["security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED[name]}"]
    run = analyze(*words, str(write))
    assert run.returncode == 0, run.stdout[-300:] + run.stderr
    assert "Overall exposure level" in run.stdout


@every_unit
def test_every_place_of_the_template_is_filled_and_comments_stand_alone(name: str) -> None:
    text = render(UNITS[name])
    assert not re.search(r"\$[a-z{]", text)
    for line in text.splitlines():
        assert line == "" or line.startswith(("#", "[")) or re.match(r"[A-Z]\w+=", line), line
        assert line.startswith("#") or " #" not in line  # systemd would take it for a value
    assert text.count("ExecStart=") == 1


def test_a_service_that_reaches_nothing_may_reach_nothing() -> None:
    assert "\nIPAddressDeny=any\nIPAddressAllow=localhost\n" in render(UNIT)
    assert "IPAddress" not in render(replace(UNIT, network=True))
    assert "network-online" not in render(UNIT)
    assert "\nWants=network-online.target\n" in render(replace(UNIT, network=True))


def test_only_groups_that_are_named_are_joined() -> None:
    assert "\nSupplementaryGroups=video render\n" in render(UNIT)
    assert "\nSupplementaryGroups=\n" in render(replace(UNIT, groups=()))


@pytest.mark.parametrize("word", ["a b", "100 %", "$HOME", "it's", 'say "hi"', "back\\slash", ""])
def test_a_word_is_quoted_for_systemd(word: str) -> None:
    # its quoting is a shell's but for what % and $ mean
    quoted = quote(word).replace("%%", "%").replace("$$", "$")
    assert shlex.split(quoted) == [word]


@pytest.mark.parametrize("name", ["", "Edgenet", "1st", "a/b", "../x", "a.service", "-x", "a" * 32])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a service"):
        Layout(name)


def test_a_name_whose_units_would_be_anothers_is_refused() -> None:
    with pytest.raises(UsageError, match="tries releases of 'door' is called so; choose another"):
        Layout("door-switch")


def test_two_names_share_no_path() -> None:
    ours, others = Layout("edgenet"), Layout("door")
    for name in ("base", "unit", "wants", "trial", "switch", "switch_unit", "service"):
        assert getattr(ours, name) != getattr(others, name)
