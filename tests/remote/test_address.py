from __future__ import annotations

import pytest

from edgenet.errors import UsageError
from edgenet.remote.address import Address, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pi@raspberrypi.local", Address("raspberrypi.local", "pi")),
        ("raspberrypi", Address("raspberrypi")),
        ("pi@10.0.0.7:2222", Address("10.0.0.7", "pi", 2222)),
        ("ssh://pi@raspberrypi.local", Address("raspberrypi.local", "pi")),
        ("ssh://raspberrypi.local:22", Address("raspberrypi.local", None, 22)),
        ("pi@fe80::1%eth0", Address("fe80::1%eth0", "pi")),
        ("[::1]:2222", Address("::1", None, 2222)),
        ("pi@[::1]", Address("::1", "pi")),
    ],
)
def test_addresses_are_read_as_ssh_and_scp_write_them(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "@pi", "pi@", "pi@host:", "pi@host:0", "pi@host:65536", "pi@host:ssh", "-oProxy=x",
        "pi@-oProxy=x", "-x@host", "pi@ho st", "pi@host/path", "[::1", "ssh://", "pi@host:1:2",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"is no address for ssh; write it as pi@raspberrypi\.local"
    ):
        parse(text)


def test_a_person_is_told_the_port_as_ssh_takes_it() -> None:
    assert parse("pi@host:2222").typed == "-p 2222 pi@host"
    assert parse("pi@host").typed == "pi@host"
