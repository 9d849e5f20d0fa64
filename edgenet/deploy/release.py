"""A release: a bundle, the unit that runs it and a record of both, in a folder of its own."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edgenet import __version__
from edgenet.bundle import MANIFEST, Bundle
from edgenet.deploy.environment import Recipe
from edgenet.deploy.layout import Layout
from edgenet.deploy.secretfile import SecretFile
from edgenet.deploy.service import Service
from edgenet.deploy.unit import Unit, render
from edgenet.target import Target

RECORD = "release.json"
_UNNAMED = "0" * 16
# a Raspberry Pi loads its camera, OpenCV and the model in seconds, an emulated one in minutes
_START_S = 300
# systemd waits longer for a frame than the loop, which says why there is none
_MARGIN_S = 15


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What release.json says.

    Attributes:
        release: digest of all that follows but ``deployed``.
        model: name of the bundle.
        bundle: its sha256.
        target: its target.
        environment: digest of the Python environment.
        edgenet: version.
        run: what ``edgenet run BUNDLE`` is told, without secrets.
        view: where the page is, if anywhere.
        deployed: when, ISO 8601.
    """

    release: str
    model: str
    bundle: str
    target: str
    environment: str
    edgenet: str
    run: tuple[str, ...]
    view: tuple[str, int] | None
    deployed: str


@dataclass(frozen=True, slots=True)
class Release:
    """A release, ready to be carried to a device.

    Attributes:
        record: what it is.
        unit: its systemd unit.
        secrets: its environment variables, as systemd reads them.
        bundle: what it runs.
    """

    record: Record
    unit: str
    secrets: str
    bundle: Bundle

    @property
    def digest(self) -> str:
        return self.record.release

    def write(self, layout: Layout, folder: Path) -> None:
        """Write the folder as it will be on the device."""
        manifest = self.bundle.manifest
        named = [one.path for one in (*manifest.models.values(), *manifest.files.values())]
        for path in (MANIFEST, *named):
            place = folder / "bundle" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.bundle.root / path, place)
        (folder / layout.service).write_text(self.unit, encoding="utf-8")
        (folder / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(self.record)) + b"\n")


def prepare(
    layout: Layout,
    bundle: Bundle,
    recipe: Recipe,
    service: Service,
    *,
    target: Target,
    salt: str,
) -> Release:
    """Put a release together; the same of the same parts, but for its time."""
    environment = recipe.environment(layout.environments)
    secrets = SecretFile(service.variables, service.made, salt).text

    def unit(digest: str) -> str:
        folder = layout.release(digest)
        run = (environment.python, "-P", "-m", "edgenet", "run", f"{folder}/bundle", *service.words)
        return render(
            Unit(
                layout=layout,
                release=digest,
                title=f"edgenet: {bundle.manifest.name} on {service.shown_source}",
                command=run,
                groups=service.groups(recipe.facts, target),
                devices=service.devices(target),
                network=service.network,
                start_s=max(_START_S, service.give_up_s + _MARGIN_S),
                watchdog_s=service.give_up_s + _MARGIN_S,
                output="journal" if service.prints else "null",
                secrets=f"{layout.secrets}/{digest}" if secrets else "",
            )
        )

    total = hashlib.sha256()
    for part in (bundle.sha256, environment.digest, unit(_UNNAMED), secrets):
        total.update(f"{part}\0".encode())
    digest = total.hexdigest()[:16]
    record = Record(
        release=digest,
        model=bundle.manifest.name,
        bundle=bundle.sha256,
        target=bundle.manifest.target,
        environment=environment.digest,
        edgenet=__version__,
        run=service.shown,
        view=service.view,
        deployed=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Release(record, unit(digest), secrets, bundle)
