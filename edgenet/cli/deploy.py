"""``edgenet deploy``: a bundle onto a device, as a service that restarts and goes back."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgenet.cli import deployed as deployed_text
from edgenet.cli import run_options
from edgenet.cli.progress import StageProgress
from edgenet.cli.sections import Sections
from edgenet.errors import UsageError, unknown
from edgenet.spec import VARIANTS

if TYPE_CHECKING:
    from edgenet.bundle import Bundle
    from edgenet.deploy.device import Device
    from edgenet.deploy.service import Service
    from edgenet.deploy.steps import Deployed, Deployment
    from edgenet.target import Target

# where a deployment is, if not in /: for tests on a machine that is no device
ROOT = "EDGENET_DEVICE_ROOT"
_RUN = ("variant", "num_threads", "streams", "backend", "top_k", "threshold", "smooth", "sinks",
        "actions", "on_interval", "metrics", "view", "view_host", "view_port",
        "give_up")  # fmt: skip
_ACTIONS = ("rollback", "status", "remove")
_SECTIONS = {
    "Service": ("source", "name", "offline"),
    "Instead of deploying": _ACTIONS,
    "Model": ("variant", "num_threads", "streams", "backend"),
    "Answer": run_options.SECTIONS["Answer"],
    "Results": ("sinks", "actions", "on_interval", "metrics"),
    "View": run_options.SECTIONS["View"],
    "End": ("give_up",),
}


@click.command(cls=Sections, sections=_SECTIONS, short_help="Run a bundle on a device, for good.")
@click.argument("where", nargs=-1, required=True, metavar="BUNDLE USER@HOST")
@click.option(
    "--source",
    default="picam",
    show_default=True,
    metavar="SOURCE",
    help="Camera on the device: picam, 0, /dev/video0, rtsp://, http://, fake.",
)
@click.option(
    "--name", default="edgenet", show_default=True, help="Of the service; several can share a Pi."
)
@click.option("--offline", is_flag=True, help="Carry all packages from here, over ssh.")
@click.option("--rollback", is_flag=True, help="Go back to the release before.")
@click.option("--status", is_flag=True, help="Say what is deployed and how it does.")
@click.option("--remove", is_flag=True, help="Remove the service and all that was deployed.")
@click.option(
    "--variant",
    type=run_options.VariantName(VARIANTS),
    help="Model to run.  [default: the target's]",
)
@click.option(
    "--num-threads",
    type=click.IntRange(min=1),
    help="Threads of the engine, for a frame.  [default: the target's]",
)
@run_options.STREAMS
@click.option(
    "--backend",
    metavar="NAME",
    help="Engine, where the target has several.  [default: its own]",
)
@run_options.ANSWER
@run_options.RESULTS
@run_options.VIEW
@run_options.GIVE_UP
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    where: tuple[str, ...],
    name: str,
    offline: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Install BUNDLE on USER@HOST as a service, over your own ssh, and see that it classifies.

    The device keeps the release that runs until the new one has proved itself there; one that does
    not serve is taken back by the device itself. docs/deploy.md says what is done and where.

    With --rollback, --status or --remove only USER@HOST is given.
    """
    from edgenet.deploy.device import Device
    from edgenet.deploy.layout import Layout
    from edgenet.deploy.steps import Deployment
    from edgenet.remote import Remote

    action = _action(given)
    bundle, host = _where(where, action)
    layout = Layout(name, os.environ.get(ROOT, ""))
    if action is None:
        opened, target = _opened(Path(bundle), given)
        service = _service(ctx, given, opened)
    with Remote(host) as remote:
        device = Device(remote, layout)
        if action is not None:
            _act(action, device, as_json=as_json)
            return
        with StageProgress() as progress:
            deployment = Deployment(
                device, opened, service, target,
                offline=offline, on_stage=lambda stage: progress(stage, 0, 0),
            )  # fmt: skip
            deployed = _run(deployment, progress)
        deployed_text.tell(device, deployed, as_json=as_json)


def _action(given: dict[str, Any]) -> str | None:
    asked = [name for name in _ACTIONS if given[name]]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]} exclude one another; give one")
    return asked[0] if asked else None


def _where(words: tuple[str, ...], action: str | None) -> tuple[str, str]:
    if action is not None:
        if len(words) != 1:
            raise UsageError(
                f"--{action} takes a device alone: edgenet deploy --{action} USER@HOST"
            )
        return "", words[0]
    if len(words) != 2:
        raise UsageError("name a bundle and a device: edgenet deploy BUNDLE USER@HOST")
    return words[0], words[1]


def _service(ctx: click.Context, given: dict[str, Any], bundle: Bundle) -> Service:
    """What is asked for on the device, and the secrets of this computer that go with it."""
    from edgenet import view
    from edgenet.deploy.service import Service

    for one in ("view_host", "view_port", "view_token"):
        if given[one] is not None and not given["view"]:
            raise UsageError(f"--{one.replace('_', '-')} needs --view")
    if given["view_port"] == 0:
        raise UsageError("--view-port 0 is another port after each start; name one")
    page = given["view_host"] or view.HOST, given["view_port"] or view.PORT
    _check_results(given, bundle)
    return Service(
        source=given["source"],
        options=tuple(_words(ctx)),
        sinks=given["sinks"],
        commands=bool(given["actions"]),
        view=page if given["view"] else None,
        metrics=given["metrics"],
        give_up_s=math.ceil(given["give_up"]),
        secrets=_secrets(given),
    )


def _check_results(given: dict[str, Any], bundle: Bundle) -> None:
    from edgenet.deploy import check
    from edgenet.stream.result import UNKNOWN

    labels = (*bundle.labels, *((UNKNOWN,) if given["threshold"] else ()))
    check.sinks(given["sinks"], labels)
    for text in given["actions"]:
        check.action(text, labels)


def _words(ctx: click.Context) -> list[str]:
    """The options for edgenet run that were typed, as they are typed."""
    words = []
    for one in ctx.command.params:
        if (
            one.name not in _RUN
            or ctx.get_parameter_source(one.name) is not ParameterSource.COMMANDLINE
        ):
            continue
        value = ctx.params[one.name]
        if value is True:
            words.append(one.opts[0])
        elif one.name == "metrics":
            host, port = value
            words += [one.opts[0], f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
        else:
            for each in value if isinstance(value, tuple) else (value,):
                words += [one.opts[0], str(each)]
    return words


def _secrets(given: dict[str, Any]) -> dict[str, str]:
    from edgenet.stream.sinks import mqtt, webhook
    from edgenet.stream.sinks.secret import VIEW_TOKEN, secret
    from edgenet.view.endpoint import check_token

    found: dict[str, str | None] = {}
    if given["view"]:
        file = given["view_token"]
        found[VIEW_TOKEN] = file.read().strip() if file is not None else secret(VIEW_TOKEN)
    kinds = {sink.partition(":")[0] for sink in given["sinks"]}
    if kinds & {"mqtt", "mqtts"}:
        found[mqtt.PASSWORD] = secret(mqtt.PASSWORD)
    if kinds & {"http", "https"}:
        found[webhook.TOKEN] = secret(webhook.TOKEN)
    if token := found.get(VIEW_TOKEN):
        check_token(token)
    return {name: value for name, value in found.items() if value}


def _opened(folder: Path, given: dict[str, Any]) -> tuple[Bundle, Target]:
    from edgenet import target
    from edgenet.bundle import Bundle

    bundle = Bundle.open(folder)
    name = bundle.manifest.target
    if name not in target.names():
        raise UsageError(
            f"{folder} is for the target {name!r}, which is not part of edgenet, so the device"
            f" would not know it; export for one of {', '.join(target.names())}"
        )
    if (variant := given["variant"]) is not None and variant not in bundle.variants:
        raise UsageError(f"{folder}: {unknown('variant', variant, bundle.variants)}")
    found = target.load(name)
    asked = {name: given[name] for name in ("streams", "backend") if given[name] is not None}
    found.check_options(bundle, **asked)
    return bundle, found


def _run(deployment: Deployment, progress: StageProgress) -> Deployed:
    from edgenet.deploy.device import TakenBack

    try:
        return deployment.run()
    except TakenBack as error:
        for line in error.outcome.journal:
            progress.say(f"| {line}")
        raise


def _act(action: str, device: Device, *, as_json: bool) -> None:
    from edgenet.deploy import steps

    host, layout = device.remote.host, device.layout
    if action == "status":
        deployed_text.status(device, device.found(), as_json=as_json)
        return
    if action == "rollback":
        deployed_text.back(device, steps.rollback(device), as_json=as_json)
        return
    device.found()
    with device.alone():
        device.remove()
    kept = f"/var/lib/{layout.name}"
    text = f"{layout.name} is removed from {host}; what it wrote itself is still in {kept}"
    found = {"removed": layout.name}
    click.echo(
        json.dumps({"host": host, "name": layout.name} | found, indent=2) if as_json else text
    )
