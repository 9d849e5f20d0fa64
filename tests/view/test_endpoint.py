from __future__ import annotations

import errno
import socket
from urllib.parse import parse_qs, urlsplit

import pytest

from edgenet import view
from edgenet.errors import MissingPackage, SinkError, UsageError
from edgenet.view.endpoint import Endpoint

TOKEN = "a-token_of.20~letters"


@pytest.fixture
def opened():
    """Open endpoints that are closed with the test."""
    found = []

    def open_one(host="127.0.0.1", port=0, token=None):
        found.append(Endpoint.open(host, port, token))
        return found[-1]

    yield open_one
    for endpoint in found:
        endpoint.socket.close()


def test_loopback_needs_no_token(opened):
    for host in ("127.0.0.1", "localhost"):
        endpoint = opened(host)
        assert endpoint.token is None
        assert endpoint.url == f"http://{host}:{endpoint.port}/"
        assert endpoint.port > 0


def test_beyond_loopback_a_token_is_made_up_and_stands_in_the_url(opened):
    first, second = opened("0.0.0.0"), opened("0.0.0.0")
    assert first.token != second.token
    assert len(first.token) == 32
    where = urlsplit(first.url)
    assert parse_qs(where.query) == {"token": [first.token]}
    assert where.port == first.port
    assert where.hostname not in ("0.0.0.0", "", None)


def test_a_token_of_the_users_choice_is_demanded_everywhere_and_never_shown(opened):
    for host in ("127.0.0.1", "0.0.0.0"):
        endpoint = opened(host, token=TOKEN)
        assert endpoint.token == TOKEN
        assert TOKEN not in endpoint.url


def test_without_a_network_the_url_has_the_machines_name(opened, monkeypatch):
    class Unconnected(socket.socket):
        def connect(self, address):
            raise OSError(errno.ENETUNREACH, "unreachable")

    monkeypatch.setattr(socket, "socket", Unconnected)
    monkeypatch.setattr(socket, "gethostname", lambda: "raspberrypi")
    assert opened("0.0.0.0").url.startswith("http://raspberrypi:")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_of_ipv6_is_in_brackets(opened):
    try:
        endpoint = opened("::1")
    except UsageError:
        pytest.skip("no IPv6 here")
    assert endpoint.url == f"http://[::1]:{endpoint.port}/"
    assert endpoint.token is None


@pytest.mark.parametrize("token", ["short", "", "a token with spaces in it", "ünïcödé-ünïcödé"])
def test_a_token_that_is_short_or_needs_escapes_is_refused(opened, token):
    with pytest.raises(UsageError, match=r"at least 16 .*leave it out"):
        opened(token=token)


def test_a_port_that_is_taken_is_refused_in_one_sentence(opened):
    port = opened().port
    with pytest.raises(SinkError) as refusal:
        opened(port=port)
    assert str(refusal.value) == (
        f"port {port} of '127.0.0.1' is taken by another program; choose another port for the"
        " view, or 0 for a free one"
    )


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(opened, port):
    with pytest.raises(UsageError, match="not from 0 to 65535"):
        opened(port=port)


def test_an_address_of_another_machine_is_refused(opened):
    with pytest.raises(UsageError, match="not an address of this machine"):
        opened("192.0.2.1")


def test_a_host_without_an_address_is_refused(opened, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError, match="'rasberrypi', which has no address"):
        opened("rasberrypi")


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EACCES, "rights of root"), (errno.ENOBUFS, "No buffer space")]
)
def test_what_the_system_refuses_is_said(opened, monkeypatch, number, words):
    import os

    class Refused(socket.socket):
        def bind(self, address):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(SinkError, match=words):
        opened(port=80)


@pytest.mark.parametrize(
    ("module", "package"), [("aiohttp", "aiohttp"), ("prometheus_client", "prometheus-client")]
)
def test_a_missing_package_is_named_with_its_extra(statistics, monkeypatch, module, package):
    there = view.find_spec
    monkeypatch.setattr(view, "find_spec", lambda name: None if name == module else there(name))
    with pytest.raises(MissingPackage, match=rf"needs {package}.*edgenet\[view\]"):
        view.serve(statistics, labels=["cat"], port=0)
