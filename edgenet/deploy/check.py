"""What can be said of a service's words before anything is sent, by those who will read them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from edgenet.errors import UsageError, unknown
from edgenet.stream.sinks import KINDS, gpio, mqtt, to_stdout, webhook
from edgenet.stream.sinks.action import open_action
from edgenet.stream.sinks.url import parse

_BEFORE_COMMAND = re.compile(r".+?:\d{1,6}=", re.DOTALL)


def sinks(texts: Sequence[str], labels: tuple[str, ...]) -> None:
    """Check sinks without opening any.

    Args:
        texts: as for ``--sink``.
        labels: that a result can have.

    Raises:
        UsageError: there is no such sink or label, or the words are wrong.
    """
    if sum(map(to_stdout, texts)) > 1:
        raise UsageError("two sinks would share the journal; give one a file, as in csv:FILE")
    for text in texts:
        _sink(text, labels)


def _sink(text: str, labels: tuple[str, ...]) -> None:
    kind = text.partition(":")[0]
    if kind not in KINDS:
        raise UsageError(unknown("sink", kind, KINDS))
    if kind == "gpio":
        gpio.parse(text, labels)
    elif kind in ("mqtt", "mqtts"):
        address = parse(text, secret=mqtt.PASSWORD, options=("every", "discovery"))
        mqtt.topic_of(address)
        address.seconds("every", 0)
    elif kind in ("http", "https"):
        parse(text, secret=webhook.TOKEN, options=("every",)).seconds("every", 0)


def action(text: str, labels: tuple[str, ...]) -> None:
    """Check an action, but for whether the device has its command.

    Args:
        text: as for ``--on``.
        labels: that a result can have.

    Raises:
        UsageError: the words are wrong, or there is no such label.
    """
    try:
        open_action(text, labels, say=_ignore)
    except UsageError:
        before = _BEFORE_COMMAND.match(text)
        if before is None or not _is_command(text[before.end() :]):
            raise
        try:
            here = shlex.quote(sys.executable)
            open_action(before[0] + here, labels, say=_ignore)
        except UsageError:
            pass
        else:
            return
        raise


def _is_command(text: str) -> bool:
    try:
        return bool(shlex.split(text))
    except ValueError:
        return False


def _ignore(event: str) -> None:
    del event
