"""Where results go: one word or URL names a sink.

json[:FILE]                       one JSON object a line, to FILE or standard output
csv[:FILE]                        one row a result, to FILE or standard output
mqtt://[USER@]HOST[:PORT]/TOPIC   a broker, found by Home Assistant; mqtts:// with TLS
http://... https://...            a POST request
gpio:PIN=LABEL[:FRAMES]           a pin that is high while a class is seen
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edgenet.errors import UsageError, unknown
from edgenet.stream.result import Sink
from edgenet.stream.sinks.lines import File, Lines, Stream
from edgenet.stream.sinks.setting import Setting

__all__ = ["KINDS", "Setting", "open_sink", "open_sinks", "to_stdout"]

KINDS = ("csv", "gpio", "http", "https", "json", "mqtt", "mqtts")


def open_sink(text: str, setting: Setting) -> Sink:
    """Open the sink that ``text`` names; this module's docstring has the grammar.

    Raises:
        MissingPackage: what the sink is built on is not installed.
        SinkError: it cannot be used.
        UsageError: there is no such sink, or its words are wrong.
    """
    kind, _, rest = text.partition(":")
    if kind in ("json", "csv"):
        return _lines(kind, rest, setting)
    if kind == "gpio":
        from edgenet.stream.sinks.gpio import Gpio

        return Gpio(text, setting)
    if kind in ("mqtt", "mqtts"):
        from edgenet.stream.sinks.mqtt import Mqtt

        return Mqtt(text, setting)
    if kind in ("http", "https"):
        from edgenet.stream.sinks.webhook import Webhook

        return Webhook(text, setting)
    raise UsageError(unknown("sink", kind, KINDS))


def open_sinks(texts: Sequence[str], setting: Setting, opened: ExitStack) -> list[Sink]:
    """Open several sinks, closed with ``opened``, so that none stays behind when one is refused.

    Raises:
        UsageError: two would write to standard output; and what ``open_sink`` raises.
    """
    if sum(map(to_stdout, texts)) > 1:
        raise UsageError("two sinks would share standard output; give one a file, as in csv:FILE")
    sinks = []
    for text in texts:
        sink = open_sink(text, setting)
        opened.callback(sink.close)
        sinks.append(sink)
    return sinks


def to_stdout(text: str) -> bool:
    """Whether a sink writes to standard output."""
    return text.rstrip(":") in ("json", "csv")


def _lines(kind: str, name: str, setting: Setting) -> Sink:
    from edgenet.stream.sinks.csv import Csv
    from edgenet.stream.sinks.json import JsonLines

    lines: Lines = File(Path(name)) if name else Stream(setting.stdout, "standard output")
    return JsonLines(lines) if kind == "json" else Csv(lines)
