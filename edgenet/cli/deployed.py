"""What ``edgenet deploy`` says of a device."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgenet.deploy.device import Device, State
    from edgenet.deploy.steps import Deployed


def tell(device: Device, deployed: Deployed, *, as_json: bool) -> None:
    """Say what runs now, and how to see its page."""
    from edgenet.deploy.service import VIEW_TOKEN, is_loopback

    remote, record = device.remote, deployed.release.record
    token = deployed.secrets.get(VIEW_TOKEN)
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
    if record.view is not None:
        host, port = record.view
        if is_loopback(host):
            url = f"http://localhost:{port}"
            tunnel = f"ssh -N -L {port}:localhost:{port} {remote.address.typed}"
            lines += [f"its page: run {tunnel}", f"          and open {url}"]
        else:
            url = f"http://{remote.address.host}:{port}/" + (f"?token={token}" if token else "")
            tunnel = None
            lines.append(f"its page: {url}")
        found["view"] = {"url": url, "tunnel": tunnel}
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))


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
