"""What the documents tell a reader to type exists, and the examples in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import edgenet
from edgenet.cli.main import COMMANDS, main
from edgenet.errors import MissingPackage

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "targets").glob("*/README.md")),
]
BLOCK = re.compile(r"^```(?:console|bash)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(edgenet [^`\[]+)`")
CHEAP = ("info", "targets", "doctor")


def commands(document: Path) -> Iterator[list[str]]:
    """Each command of the document's console and bash blocks, as words; without assignments."""
    for block in BLOCK.findall(document.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\||&&", line.removeprefix("$ ")):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"\w+=.*", words[0]):
                    words = words[1:]
                words = words[: words.index(">")] if ">" in words else words
                if words:
                    yield words


ALL = [(path, words) for path in DOCUMENTS for words in commands(path)]


def of(*programs: str) -> list[object]:
    return [
        pytest.param(words, id=f"{path.relative_to(ROOT)}: {' '.join(words)}")
        for path, words in ALL
        if words[0] in programs
    ]


def mentions() -> list[tuple[Path, list[str]]]:
    """Commands inside sentences, which may leave arguments out."""
    texts = [(path, path.read_text(encoding="utf-8")) for path in DOCUMENTS]
    return [(path, shlex.split(one)) for path, text in texts for one in INLINE.findall(text)]


def parse(
    command: click.Command, words: list[str], context: click.Context, *, whole: bool = True
) -> None:
    """Parse as click does, without touching the files that the words name."""
    values, rest, _ = command.make_parser(context).parse_args(list(words))
    if isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        parse(found, rest, click.Context(found, parent=context, info_name=name), whole=whole)
        return
    assert rest == [], f"too many arguments: {rest}"
    for parameter in command.params:
        value = values.get(parameter.name)
        given = isinstance(value, str | bool | list | tuple) and value != ()
        assert given or not (whole and parameter.required), f"{parameter.name} is missing"
        if given and not isinstance(parameter.type, click.Path | click.File):
            parameter.type_cast_value(context, value)


@pytest.mark.parametrize("words", of("edgenet"))
def test_a_documented_command_exists_with_its_options(words: list[str]) -> None:
    parse(main, words[1:], click.Context(main, info_name="edgenet"))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=f"{path.relative_to(ROOT)}: {' '.join(words)}")
        for path, words in mentions()
    ],
)
def test_a_command_in_a_sentence_exists_with_its_options(words: list[str]) -> None:
    parse(main, words[1:], click.Context(main, info_name="edgenet"), whole=False)


@pytest.mark.parametrize(
    "words", [p for p in of("edgenet") if {*CHEAP, "--help"} & set(p.values[0])]
)
def test_a_cheap_documented_command_runs(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT if "edgenet/" in " ".join(words) else tmp_path)
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, result.output


def test_every_command_is_in_the_readme() -> None:
    everything = [*ALL, *mentions()]
    shown = {words[1] for path, words in everything if path == ROOT / "README.md" and words[1:]}
    assert set(COMMANDS) - shown == set()


def test_the_scripts_that_documents_name_are_there() -> None:
    named = set()
    for path in DOCUMENTS:
        named |= set(re.findall(r"\bscripts/[\w.]+\w|\.ci/run", path.read_text(encoding="utf-8")))
    assert {"scripts/demo", "scripts/test", "scripts/check"} <= named
    for name in named:
        assert (ROOT / name).is_file(), name
        assert name.endswith((".py", ".txt")) or os.access(ROOT / name, os.X_OK), name


def test_the_extras_that_documents_name_are_there() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(config["project"]["optional-dependencies"])
    named = set()
    for path in DOCUMENTS:
        for group in re.findall(r"edgenet\[([\w,]+)\]", path.read_text(encoding="utf-8")):
            named |= set(group.split(","))
    assert "rpi" in named
    assert named <= extras


@pytest.mark.torch
def test_the_recipe_fields_are_all_in_the_training_page() -> None:
    from edgenet.host import recipe

    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    parts = (recipe.Recipe, recipe.Optimizer, recipe.Schedule, recipe.Augment)
    fields = {name for part in parts for name in part.__struct_fields__} - {"about"}
    assert [name for name in sorted(fields) if not re.search(rf"`{name}\.?`", page)] == []


def test_links_between_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def modules() -> list[str]:
    """Every module of edgenet, by its file."""
    top = Path(edgenet.__file__).parent
    paths = [path.relative_to(top.parent).with_suffix("") for path in sorted(top.rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    left_out = ("edgenet.targets", "edgenet.__main__")
    return [name for name in names if not name.startswith(left_out)]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_hold(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except MissingPackage as error:
        pytest.skip(str(error))
    assert doctest.testmod(module).failed == 0


def test_the_documents_that_commands_name_are_there() -> None:
    for path in sorted((ROOT / "edgenet").rglob("*.py")):
        for name in re.findall(r"\bdocs/[\w./-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path.name}: {name}"


def test_the_layout_names_what_is_there_and_every_package() -> None:
    named = set()
    for line in (ROOT / "docs/layout.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and "`" in line:
            first, *others = map(Path, re.findall(r"`([\w./]+)`", line.split("|")[2]))
            folder = first if (ROOT / first).is_dir() else first.parent
            for path in (first, *others):
                found = path if (ROOT / path).exists() else folder / path
                assert (ROOT / found).exists(), f"{line}: {path}"
                named.add(str(found))
    packages = [module.name for module in pkgutil.iter_modules(edgenet.__path__) if module.ispkg]
    for name in set(packages) - {"host", "targets"}:
        assert f"edgenet/{name}" in named, name


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("edgenet ev", {"evaluate"}), ("edgenet info --alp", {"--alpha", "--alphas"})],
)
def test_bash_completes_as_the_readme_says(typed: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    env = {"_EDGENET_COMPLETE": "bash_complete"} | words
    result = CliRunner().invoke(main, prog_name="edgenet", env=env)
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == offered
