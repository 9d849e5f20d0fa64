"""What ``edgenet deploy`` says of a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgenet.deploy.device import Device, State
    from edgenet.deploy.release import Record
    from edgenet.deploy.steps import Deployed


def tell(device: Device, deployed: Deployed, *, as_json: bool) -> None:
    """Say what runs now, and how to see its page."""
    remote, record = device.remote, deployed.release.record
    found: dict[str, object] = {
        "host": remote.host,
        "name": device.layout.name,
        "release": record.release,
        "former": deployed.former,
        "changed": deployed.changed,
        "model": record.model,
        "environment": record.environment,
        "view": None,
    }
    lines = [f"release {record.release} of {record.model} runs on {remote.host}"]
    if not deployed.changed:
        lines[0] += ", as before"
    found["view"] = _page(device, record, deployed.token, lines)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))


def back(device: Device, record: Record, *, as_json: bool) -> None:
    """Say what runs after going back, and how to see its page."""
    from edgenet.stream.sinks.secret import VIEW_TOKEN

    host, token = device.remote.host, None
    if record.view is not None:
        kept = device.secrets(record.release)
        token = kept.variables[VIEW_TOKEN] if VIEW_TOKEN in kept.made else None
    lines = [f"release {record.release} runs on {host}"]
    found = {"host": host, "name": device.layout.name, "release": record.release}
    view = _page(device, record, token, lines)
    click.echo(json.dumps(found | {"view": view}, indent=2) if as_json else "\n".join(lines))


def _page(
    device: Device, record: Record, token: str | None, lines: list[str]
) -> dict[str, str | None] | None:
    """Where a release's page is; what a person does to see it is added to ``lines``."""
    from edgenet.deploy.service import is_loopback

    if record.view is None:
        return None
    remote, (host, port) = device.remote, record.view
    if is_loopback(host):
        url = f"http://localhost:{port}"
        tunnel = f"ssh -N -L {port}:localhost:{port} {remote.address.typed}"
        lines += [f"its page: run {tunnel}", f"          and open {url}"]
        return {"url": url, "tunnel": tunnel}
    name = remote.hostname()
    name = f"[{name}]" if ":" in name else name
    url = f"http://{name}:{port}/" + (f"?token={token}" if token else "")
    lines.append(f"its page: {url}")
    return {"url": url, "tunnel": None}


def status(device: Device, state: State, *, as_json: bool) -> None:
    """Say what is deployed, and how it does."""
    import msgspec

    from edgenet.report.text import table

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(state), indent=2))
        return
    shown = state.service
    restarts = shown.get("NRestarts", "0")
    lines = [
        f"{device.layout.name} on {device.remote.host}: {shown.get('ActiveState', 'unknown')}"
        f" since {shown.get('ActiveEnterTimestamp') or 'never'}, restarts: {restarts}",
    ]
    if shown.get("StatusText"):
        lines.append(shown["StatusText"])
    if not state.enabled:
        lines.append("a boot does not start it")
    if state.outcome is not None and state.outcome.state == "taken back":
        lines.append(f"release {state.outcome.release} was taken back: {state.outcome.reason}")
    marks = {state.previous: "previous", state.current: "current"}
    rows = [
        [one.release, marks.get(one.release, ""), one.model, one.deployed, " ".join(one.run)]
        for one in sorted(state.releases, key=lambda one: one.deployed, reverse=True)
    ]
    lines.append(table(["release", "", "model", "deployed", "run with"], rows, texts=5))
    lines += [f"| {line}" for line in state.journal]
    click.echo("\n".join(lines))
