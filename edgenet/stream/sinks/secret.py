"""Secrets come from the environment or a file, so that no command line or log shows them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgenet.errors import UsageError

MQTT_PASSWORD = "EDGENET_MQTT_PASSWORD"
WEBHOOK_TOKEN = "EDGENET_WEBHOOK_TOKEN"
VIEW_TOKEN = "EDGENET_VIEW_TOKEN"
# a camera's address may hold a password
SOURCE = "EDGENET_SOURCE"

_SECRETS = (MQTT_PASSWORD, WEBHOOK_TOKEN, VIEW_TOKEN, SOURCE)
# who has these can speak to systemd in the service's name, or finds its secrets
_SERVICE = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY")
_WITHHELD = frozenset((*_SECRETS, *(f"{name}_FILE" for name in _SECRETS), *_SERVICE))


def secret(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The value of the variable ``name``, or what the file that ``name``_FILE names holds.

    A line feed at the file's end is left out.

    Raises:
        UsageError: both are set, or the file cannot be read or is empty.
    """
    path = environment.get(f"{name}_FILE")
    if path is None:
        return environment.get(name) or None
    if name in environment:
        raise UsageError(f"both {name} and {name}_FILE are set; unset one")
    try:
        found = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"{name}_FILE: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}_FILE: {path} is no text") from error
    if not found:
        raise UsageError(f"{name}_FILE: {path} is empty")
    return found


def without_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a command of somebody else's: no secret, and no part in the service."""
    return {name: value for name, value in environment.items() if name not in _WITHHELD}
