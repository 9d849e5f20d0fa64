"""What a release must not show: a file of environment variables that root alone may read."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_SALT = re.compile(r"^# salt (\w+)$", re.MULTILINE)
_MADE = re.compile(r"^# made up by edgenet deploy: (.*)$", re.MULTILINE)
_VARIABLE = re.compile(r'^(\w+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """Secrets of a release.

    Attributes:
        variables: by name.
        made: names of those that a deployment made up, which it may therefore print.
        salt: a random text, without which the secrets cannot be guessed from the name of the
            release, which everybody sees.
    """

    variables: Mapping[str, str]
    made: tuple[str, ...]
    salt: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``text`` writes; what is missing is empty."""
        salt, made = _SALT.search(text), _MADE.search(text)
        variables = {
            name: _ESCAPED.sub(r"\1", value) for name, value in _VARIABLE.findall(text)
        }  # fmt: skip
        return cls(variables, tuple(made[1].split()) if made else (), salt[1] if salt else "")

    @property
    def text(self) -> str:
        """The file, as EnvironmentFile= takes it; empty where there is nothing to keep."""
        if not self.variables:
            return ""
        lines = [f"# salt {self.salt}"]
        if self.made:
            lines.append(f"# made up by edgenet deploy: {' '.join(self.made)}")
        lines += [f'{name}="{_escape(value)}"' for name, value in self.variables.items()]
        return "\n".join(lines) + "\n"


def new_salt() -> str:
    """A salt of 128 bits."""
    return secrets.token_hex(16)


def _escape(value: str) -> str:
    for special in ("\\", '"', "$", "`"):
        value = value.replace(special, "\\" + special)
    return value
