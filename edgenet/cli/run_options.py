"""The options of ``edgenet run``."""

from __future__ import annotations

from typing import Any

import click

from edgenet.cli.boards import board_option, port_option
from edgenet.cli.options import TargetName
from edgenet.cli.sections import options
from edgenet.errors import unknown
from edgenet.spec import VARIANTS

VIEW_TOKEN = "EDGENET_VIEW_TOKEN"
SOURCE = "EDGENET_SOURCE"


class VariantName(click.Choice[str]):
    """A variant, with the nearest one named where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in VARIANTS:
            self.fail(unknown("variant", str(value), VARIANTS), param, ctx)
        return str(value)


class HostPort(click.ParamType[tuple[str, int]]):
    """A port of this machine, for itself alone unless a host is named."""

    name = "[HOST:]PORT"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int]:
        host, _, port = value.rpartition(":")
        if not port.isdigit() or not 0 <= int(port) <= 65535:
            self.fail(
                f"{value!r} is no port; write one from 0 to 65535, as in 9100 or 0.0.0.0:9100"
            )
        return host.strip("[]") or "127.0.0.1", int(port)


STREAMS = click.option(
    "--streams",
    type=click.IntRange(min=1),
    metavar="N",
    help="Frames at work at once, each on a copy of the model: more of them a second, each later."
    "  [default: 1]",
)
MODEL = options(
    click.option(
        "--variant",
        type=VariantName(VARIANTS),
        metavar="NAME",
        help="Model to run.  [default: the target's]",
    ),
    click.option(
        "--num-threads",
        type=click.IntRange(min=1),
        help="Threads of the engine, for a frame.  [default: the target's]",
    ),
    STREAMS,
    click.option("--target", type=TargetName(), help="Target to run as.  [default: the bundle's]"),
    click.option(
        "--backend",
        metavar="NAME",
        help="Engine, where the target has several.  [default: its own]",
    ),
    board_option,
    port_option,
)
ANSWER = options(
    click.option(
        "--top-k",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Classes to name for each picture.",
    ),
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="Least probability of a class that is named, 0 to 1; without one it is 'unknown'.",
    ),
    click.option(
        "--smooth",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.0,
        show_default=True,
        help="Weight of the frames before, as in p = S * before + (1 - S) * new.",
    ),
)
JSON = click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
RESULTS = options(
    click.option(
        "--sink",
        "sinks",
        multiple=True,
        metavar="WHERE",
        help="json[:FILE], csv[:FILE], mqtt://[USER@]HOST/TOPIC, http(s)://..., gpio:PIN=LABEL;"
        " repeatable.",
    ),
    click.option(
        "--on",
        "actions",
        multiple=True,
        metavar="LABEL:N=COMMAND",
        help="Run COMMAND when LABEL was seen for N frames in a row; repeatable.",
    ),
    click.option(
        "--on-interval",
        type=click.FloatRange(min=0),
        default=5.0,
        show_default=True,
        metavar="S",
        help="Least seconds between two starts of a command.",
    ),
    click.option("--metrics", type=HostPort(), help="Serve Prometheus metrics there."),
)
VIEW = options(
    click.option("--view", is_flag=True, help="Serve a page with the live picture."),
    click.option(
        "--view-host", metavar="HOST", help="Address to serve it on.  [default: loopback]"
    ),
    click.option("--view-port", type=click.IntRange(0, 65535), metavar="PORT", help="Its port."),
    click.option(
        "--view-token",
        type=click.File(encoding="utf-8"),
        metavar="FILE",
        help=f"File with what readers must show; or set {VIEW_TOKEN}.",
    ),
)
GIVE_UP = click.option(
    "--give-up",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Fail when a camera gives no frame for so many seconds.",
)
END = options(
    click.option("--max-frames", type=click.IntRange(min=1), metavar="N", help="Stop after N."),
    click.option(
        "--duration",
        type=click.FloatRange(min=0, min_open=True),
        metavar="S",
        help="Stop after so many seconds.",
    ),
    GIVE_UP,
)
SECTIONS = {
    "Model": ("source", "variant", "num_threads", "streams", "target", "backend", "board", "port"),
    "Answer": ("top_k", "threshold", "smooth"),
    "Results": ("as_json", "sinks", "actions", "on_interval", "metrics"),
    "View": ("view", "view_host", "view_port", "view_token"),
    "End": ("max_frames", "duration", "give_up"),
}
