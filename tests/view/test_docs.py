from __future__ import annotations

import re
from pathlib import Path

import msgspec

from edgenet.view import access, message, routes
from edgenet.view.pictures import FASTEST_HZ
from edgenet.view.server import LARGEST_SIDE

PAGE = (Path(__file__).parents[2] / "docs" / "view.md").read_text(encoding="utf-8")


def test_every_field_of_a_message_is_explained():
    named = set(re.findall(r"`(\w+)`", PAGE.partition("## Messages")[2].partition("## Who")[0]))
    for record in (message.Message, message.State, message.Latency, message.Board):
        assert {field.name for field in msgspec.structs.fields(record)} <= named
    assert {field.name for field in msgspec.structs.fields(message.Throttling)} <= named
    assert {"starting", "live", "lost", routes.NEXT} <= named


def test_every_address_is_listed_with_whether_it_is_open(serve):
    rows = re.findall(r"^\| (`/.*?) \| .* \| (yes|no) \|$", PAGE, re.MULTILINE)
    listed = {path: token == "no" for paths, token in rows for path in re.findall("`(.*?)`", paths)}
    served = {resource.canonical for resource in serve().view._runner.app.router.resources()}
    assert set(listed) == served - {"/login"}
    assert {path for path, is_open in listed.items() if is_open} == access.OPEN - {"/login"}


def test_the_limits_are_those_of_the_code():
    for words in (
        f"shrunk to {LARGEST_SIDE} pixels",
        f"at most {FASTEST_HZ:g} times a second",
        f"at most {routes.VIEWERS} viewers",
        f"within {message.STALE_S:g} seconds",
        f"for {message.STALE_S:g} s |",
        f"at most {message.PLOTTED}",
        f"{access.KEPT_S // 86400} days",
    ):
        assert words in PAGE
