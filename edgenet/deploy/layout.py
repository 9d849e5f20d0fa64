"""Where things lie on the device; both sides of a deployment ask here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgenet.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
_SWITCH = "-switch"
_UNITS = "/usr/local/lib/systemd/system"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one deployment.

    Args:
        name: of the service, and of the folder in /opt.
        root: put before every path; for tests on a machine that is no device.
    """

    name: str
    root: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} is no name for a service; take lower-case letters, digits and"
                " hyphens, a letter first"
            )
        if self.name.endswith(_SWITCH):
            raise UsageError(
                f"{self.name!r} is no name for a service: the one that tries releases of"
                f" {self.name.removesuffix(_SWITCH)!r} is called so; choose another"
            )

    @property
    def base(self) -> str:
        """The folder that holds everything but links for systemd."""
        return f"{self.root}/opt/{self.name}"

    @property
    def marker(self) -> str:
        """Says that the folder is edgenet's own."""
        return f"{self.base}/.edgenet"

    @property
    def releases(self) -> str:
        return f"{self.base}/releases"

    @property
    def environments(self) -> str:
        return f"{self.base}/environments"

    @property
    def secrets(self) -> str:
        return f"{self.base}/secrets"

    @property
    def current(self) -> str:
        """The link to the release that has proved itself, which is the one that a boot starts."""
        return f"{self.base}/current"

    @property
    def previous(self) -> str:
        """The link to the release that ran before."""
        return f"{self.base}/previous"

    @property
    def outcome(self) -> str:
        """How the last switch went."""
        return f"{self.base}/outcome.json"

    @property
    def service(self) -> str:
        return f"{self.name}.service"

    @property
    def switch(self) -> str:
        """The service that tries a release."""
        return f"{self.name}{_SWITCH}.service"

    @property
    def unit(self) -> str:
        """Where systemd finds the service; a link through ``current``."""
        return f"{self.root}{_UNITS}/{self.service}"

    @property
    def wants(self) -> str:
        """The link by which a boot starts the service."""
        return f"{self.root}/etc/systemd/system/multi-user.target.wants/{self.service}"

    @property
    def booted(self) -> str:
        """The folder that is there where systemd runs."""
        return f"{self.root}/run/systemd/system"

    @property
    def trial(self) -> str:
        """The unit of a release on trial: systemd prefers it to ``unit``, and a boot forgets it."""
        return f"{self.booted}/{self.service}"

    @property
    def switch_unit(self) -> str:
        return f"{self.booted}/{self.switch}"

    def release(self, digest: str) -> str:
        return f"{self.releases}/{digest}"

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Where a service of this name would be somebody else's."""
        folders = ("etc/systemd/system", "lib/systemd/system", "usr/lib/systemd/system")
        return tuple(f"{self.root}/{folder}/{self.service}" for folder in folders)
