from __future__ import annotations

from typing import Any

import pytest

from edgenet import target
from edgenet.deploy.facts import Facts
from edgenet.deploy.service import Service, is_loopback
from edgenet.errors import UsageError

PI = target.load("rpi")
FACTS = Facts(
    executable="/usr/bin/python3", python=(3, 11, 2), machine="aarch64", bits=64, libc="glibc",
    libc_version=(2, 36), venv=True, picamera2=True, pinned={}, free=10**9, home="/home/pi",
    data="", cameras=(), groups=("adm", "video", "gpio", "plugdev", "users"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "network"),
    [
        ({}, False),
        ({"view": ("127.0.0.1", 8080)}, False),
        ({"view": ("localhost", 8080), "metrics": ("::1", 9100)}, False),
        ({"view": ("0.0.0.0", 8080)}, True),
        ({"metrics": ("pi.local", 9100)}, True),
        ({"source": "rtsp://camera/1"}, True),
        ({"sinks": ("json", "csv:log.csv", "gpio:17=cat")}, False),
        ({"sinks": ("json", "mqtt://broker/topic")}, True),
        ({"commands": True}, True),
    ],
)
def test_a_service_gets_the_network_that_it_needs(given: dict[str, Any], network: bool) -> None:
    assert Service(**{"source": "picam", **given}).network is network


def test_what_a_sink_needs_is_installed_and_allowed() -> None:
    plain, gpio = Service("picam"), Service("picam", sinks=("gpio:17=cat", "mqtt://b/t"))
    assert plain.extras(PI) == ("rpi",)
    assert Service("0", view=("127.0.0.1", 1)).extras(PI) == ("rpi", "view")
    assert Service("0", sinks=("https://a/b",)).extras(PI) == ("rpi", "webhook")
    assert gpio.extras(PI) == ("gpio", "mqtt", "rpi")
    assert plain.groups(FACTS, PI) == ("video",)
    assert gpio.groups(FACTS, PI) == ("video", "gpio")
    assert "char-gpiochip rw" not in plain.devices(PI)
    assert "char-gpiochip rw" in gpio.devices(PI)


@pytest.mark.parametrize(
    ("sinks", "prints"),
    [((), False), (("json:file",), False), (("json",), True), (("csv:",), True)],
)
def test_results_reach_the_journal_only_when_asked_for(
    sinks: tuple[str, ...], prints: bool
) -> None:
    assert Service("0", sinks=sinks).prints is prints


@pytest.mark.parametrize("source", ["-", "pictures", "photo.jpg", "*.png", "-:640x480"])
def test_a_source_that_ends_is_no_service(source: str) -> None:
    with pytest.raises(UsageError, match="ends by itself, and a service does not; name a camera"):
        Service(source)


def test_a_page_for_others_needs_a_token() -> None:
    token = {"EDGENET_VIEW_TOKEN": "a long enough token"}
    assert Service("0", view=("0.0.0.0", 8080)).needs_token
    assert not Service("0", view=("0.0.0.0", 8080), secrets=token).needs_token
    assert not Service("0", view=("127.0.0.1", 8080)).needs_token
    assert not Service("0").needs_token


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("pi.local")
