"""The rules of this repository that no tool knows; each complaint says the mend."""

from __future__ import annotations

import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# lines of code in edgenet/ and targets/, as tinygrad counts its own: neither blank lines nor
# comments nor docstrings; raising a cap is a commit of its own
LINES = {"py": 34_000, "c": 5000}
LARGEST = 500_000  # bytes of one file; weights are the exception
LAYOUT = {
    tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE,
    tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip
# written so that this file does not match itself
# /opt/edgenet is the device's, where edgenet deploy puts its releases
MACHINE = re.compile(
    r"/(?:work|root|opt(?!/edgenet\b))/[\w.]|/tmp/[\w.]|/(?:home|Users)/(?!(?:pi|me|user)\b)\w"
)
REGISTRY = re.compile(
    r"\b(?:(?:test\.)?pypi\.org|pythonhosted\.org|download\.pytorch\.org|npmjs\.(?:org|com)"
    r"|deb\.debian\.org|crates\.io|huggingface\.co|piwheels\.org)"
)


def tracked() -> list[Path]:
    """Files that git has or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def complaints(files: list[Path]) -> Iterator[str]:
    """One sentence for each broken rule."""
    yield from version_is_in_changelog()
    yield from every_package_ships()
    yield from every_target_is_seen()
    yield from total_lines(files)
    for path in files:
        yield from small_and_portable(path)


def version_is_in_changelog() -> Iterator[str]:
    version = re.search(r'__version__ = "(.+?)"', read(ROOT / "edgenet/__init__.py"))
    entry = re.search(r"^## \[(\d.*?)\]", read(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)
    found = version and version[1], entry and entry[1]
    if found[0] != found[1] or None in found:
        yield (
            f"CHANGELOG.md's top version is {found[1]}, edgenet.__version__ is {found[0]};"
            " write the entry, or set the version"
        )


def every_package_ships() -> Iterator[str]:
    config = tomllib.loads(read(ROOT / "pyproject.toml"))
    listed = set(config["tool"]["setuptools"]["packages"]) - {"edgenet.targets"}
    inits = (ROOT / "edgenet").rglob("__init__.py")
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in inits}
    for name in sorted(listed ^ there):
        yield f"pyproject.toml: tool.setuptools.packages and edgenet/ differ in {name}; mend it"


def every_target_is_seen() -> Iterator[str]:
    for folder in sorted(path.parent for path in (ROOT / "targets").glob("*/target.toml")):
        if not (folder / "__init__.py").is_file():
            yield (
                f"targets/{folder.name} has no __init__.py, so import-linter does not see what it"
                " imports; add an empty one"
            )


def total_lines(files: list[Path]) -> Iterator[str]:
    inside = [path for path in files if path.relative_to(ROOT).parts[0] in ("edgenet", "targets")]
    counted = {
        "py": sum(lines_of_python(path) for path in inside if path.suffix == ".py"),
        "c": sum(lines_of_c(path) for path in inside if path.suffix in (".c", ".h")),
    }
    for kind, total in counted.items():
        print(f"{total:,} lines of {kind}, of {LINES[kind]:,}")
        if total > LINES[kind]:
            yield (
                f"edgenet/ and targets/ have {total} lines of {kind}, the cap is {LINES[kind]};"
                " simplify, or raise the cap in scripts/rules.py in a commit of its own"
            )


def lines_of_python(path: Path) -> int:
    """Lines that hold a token other than a comment or a string that is a statement."""
    lines: set[int] = set()
    fresh = True  # at the start of a statement, where a string is a docstring
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in LAYOUT:
                fresh = fresh or token.type == tokenize.NEWLINE
            elif not (fresh and token.type == tokenize.STRING):
                lines.update(range(token.start[0], token.end[0] + 1))
                fresh = False
    return len(lines)


def lines_of_c(path: Path) -> int:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", read(path), flags=re.DOTALL)
    return sum(bool(line.strip()) for line in code.splitlines())


def small_and_portable(path: Path) -> Iterator[str]:
    name = path.relative_to(ROOT)
    size = path.stat().st_size
    if size > LARGEST and path.suffix != ".safetensors":
        yield f"{name} has {size} bytes; more than {LARGEST} do not belong in git, make it smaller"
    try:
        text = read(path)
    except UnicodeDecodeError:
        return
    if bool(path.stat().st_mode & 0o100) != text.startswith("#!"):
        yield f"{name} is executable without a first line that says how, or the reverse; chmod it"
    for number, line in enumerate(text.splitlines(), start=1):
        if found := MACHINE.search(line):
            yield f"{name}:{number} names a path of one machine, {found[0]}; take it as an argument"
        if found := REGISTRY.search(line):
            yield f"{name}:{number} names a package registry, {found[0]}; leave that to the user"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    found = list(complaints(tracked()))
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    sys.exit(bool(found))
