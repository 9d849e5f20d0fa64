"""What a person wants to run on the device, and what that needs there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgenet.deploy.facts import Facts
from edgenet.deploy.unit import CAMERA
from edgenet.errors import UsageError
from edgenet.stream.network import without_secrets
from edgenet.stream.sinks.secret import SOURCE, VIEW_TOKEN
from edgenet.stream.source import is_live
from edgenet.target import Target

# the extra that a sink's first word needs
_SINKS = {
    "gpio": "gpio", "mqtt": "mqtt", "mqtts": "mqtt", "http": "webhook", "https": "webhook",
}  # fmt: skip
_GPIO = "char-gpiochip rw"
_ALWAYS = ("video", "render")


@dataclass(frozen=True, slots=True)
class Service:
    """What ``edgenet run`` is told on the device.

    Attributes:
        source: as for ``--source``; it must not end by itself.
        options: more words for ``edgenet run``.
        sinks: those words of ``options`` that name a sink.
        commands: whether results start commands, of which nothing is known.
        view: address and port of the page; None without one.
        metrics: the same of the metrics.
        give_up_s: seconds without a frame after which the loop ends.
        secrets: environment variables that no one but root and the service may read.
        made: names of those secrets that were made up for it.
    """

    source: str
    options: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    commands: bool = False
    view: tuple[str, int] | None = None
    metrics: tuple[str, int] | None = None
    give_up_s: int = 30
    secrets: Mapping[str, str] = field(default_factory=dict)
    made: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_live(self.source):
            raise UsageError(
                f"--source {self.source} ends by itself, and a service does not; name a camera"
                " (picam, 0, /dev/video0), rtsp://, http:// or fake"
            )

    @property
    def needs_token(self) -> bool:
        """Whether other machines reach the page, and nothing was said of who may see it."""
        shown = self.view is not None and not is_loopback(self.view[0])
        return shown and VIEW_TOKEN not in self.secrets

    @property
    def shown_source(self) -> str:
        """The source without what may be a secret: an address by scheme, host and port alone."""
        return without_secrets(self.source)

    @property
    def words(self) -> tuple[str, ...]:
        """What comes after ``edgenet run BUNDLE``, for everybody to see."""
        source = () if self._hides_source else ("--source", self.source)
        return (*source, *self.options)

    @property
    def shown(self) -> tuple[str, ...]:
        """The same for people."""
        return ("--source", self.shown_source, *self.options)

    @property
    def variables(self) -> dict[str, str]:
        """The secrets, and with them a source that may hold one."""
        return {**self.secrets, **({SOURCE: self.source} if self._hides_source else {})}

    @property
    def prints(self) -> bool:
        """Whether results are meant for standard output."""
        return any(re.fullmatch("(json|csv):?", sink) for sink in self.sinks)

    @property
    def network(self) -> bool:
        """Whether it talks to other machines."""
        servers = [at for at in (self.view, self.metrics) if at is not None]
        away = any("://" in word for word in (self.source, *self.sinks))
        return away or self.commands or not all(is_loopback(host) for host, _ in servers)

    def extras(self, target: Target) -> tuple[str, ...]:
        """Extras of edgenet that must be installed."""
        found = {target.description.requires.extra}
        found |= {_SINKS[kind] for sink in self.sinks if (kind := sink.partition(":")[0]) in _SINKS}
        if self.view or self.metrics:
            found.add("view")
        return tuple(sorted(found))

    def groups(self, facts: Facts, target: Target) -> tuple[str, ...]:
        """Groups that the service joins: of those that it has a use for, those that exist."""
        wanted = {*_ALWAYS, *target.description.service.groups}
        if self._gpio:
            wanted.add("gpio")
        return tuple(name for name in facts.groups if name in wanted)

    def devices(self, target: Target) -> tuple[str, ...]:
        """Devices that it may open, as DeviceAllow= takes them."""
        gpio = (_GPIO,) if self._gpio else ()
        return (*CAMERA, *gpio, *target.description.service.devices)

    @property
    def _hides_source(self) -> bool:
        return self.shown_source != self.source

    @property
    def _gpio(self) -> bool:
        return any(sink.startswith("gpio:") for sink in self.sinks)


def is_loopback(host: str) -> bool:
    """Whether only the machine itself can connect to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
