"""Files of ``templates`` with a program's words in them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from string import Template

import edgenet
from edgenet.codegen.program import Program


def of(program: Program) -> Callable[..., str]:
    """A function of a template's name, and of more words, that gives its text."""
    words = {
        "name": program.name,
        "NAME": program.name.upper(),
        "version": edgenet.__version__,
        "digest": program.digest,
    }
    folder = resources.files("edgenet.codegen") / "templates"

    def template(file: str, **more: str) -> str:
        return Template((folder / file).read_text("utf-8")).substitute(words | more)

    return template


def count(number: int, *, lower: bool = False) -> str:
    """What the second and further inputs and outputs have after their names."""
    if not number:
        return ""
    return f"_{number + 1}" if lower else str(number + 1)
