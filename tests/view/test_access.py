from __future__ import annotations

import hmac
import logging

import pytest
import requests

TOKEN = "a-token_of.20~letters"
DATA = ("/", "/live", "/stream.mjpg", "/snapshot.jpg", "/state.json", "/metrics")
OPEN = ("/view.css", "/view.js", "/favicon.svg", "/favicon.ico")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture
def session():
    with requests.Session() as found:
        found.trust_env = False
        yield found


@pytest.fixture
def guarded(serve):
    """The address of a view with a token and a picture."""
    loop = serve(token=TOKEN)
    loop.give()
    return loop.view.url.rstrip("/")


@pytest.fixture
def free(serve):
    """The address of a view without a token, with a picture."""
    loop = serve()
    loop.give()
    return loop.view.url.rstrip("/")


@pytest.mark.parametrize("path", [*DATA, "/nothing"])
def test_without_the_token_nothing_is_shown(guarded, session, path):
    for headers in ({}, UPGRADE, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        answer = session.get(guarded + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "token" in answer.text
        assert TOKEN not in answer.text


@pytest.mark.parametrize("path", OPEN)
def test_what_shows_nothing_of_the_camera_is_open(guarded, session, path):
    assert session.get(guarded + path).status_code == 200


def test_the_token_is_taken_as_a_bearer(guarded, session):
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert session.get(f"{guarded}/state.json", headers=headers).status_code == 200


def test_the_token_in_the_address_is_needed_once(guarded, session):
    page = session.get(f"{guarded}/?token={TOKEN}")
    assert page.status_code == 200
    assert TOKEN not in page.text
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith(f"edgenet-view-{guarded.rpartition(':')[2]}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    for path in ("/", "/snapshot.jpg", "/state.json", "/metrics"):
        assert session.get(guarded + path).status_code == 200


def test_the_cookie_of_another_port_does_not_count(guarded, session):
    headers = {"Cookie": f"edgenet-view-1={TOKEN}"}
    assert session.get(f"{guarded}/state.json", headers=headers).status_code == 401


def test_a_program_may_send_the_token_in_the_address_and_gets_no_cookie(guarded, session):
    answer = session.get(f"{guarded}/snapshot.jpg?token={TOKEN}")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


def test_a_browser_without_the_token_is_asked_for_it(guarded, session):
    html = {"Accept": "text/html,*/*"}
    asked = session.get(f"{guarded}/", headers=html)
    assert asked.status_code == 401
    assert '<form method="post" action="/login">' in asked.text
    assert "That is not the token" not in asked.text
    wrong = session.post(f"{guarded}/login", data={"token": "wrong"}, allow_redirects=False)
    assert wrong.status_code == 401
    assert "That is not the token" in wrong.text
    right = session.post(f"{guarded}/login", data={"token": f" {TOKEN}\n"}, allow_redirects=False)
    assert (right.status_code, right.headers["Location"]) == (303, "/")
    assert session.get(f"{guarded}/").status_code == 200


def test_a_wrong_token_in_the_address_is_told_and_not_repeated(guarded, session):
    wrong = "<script>alert(1)</script>"
    answer = session.get(f"{guarded}/", params={"token": wrong}, headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert "That is not the token" in answer.text
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize("token", ["\xff\xfe", "é" * 20, "\0", "x" * 3000])
def test_strange_tokens_are_refused_like_wrong_ones(guarded, session, token):
    url = f"{guarded}/state.json"
    assert session.get(url, params={"token": token}).status_code == 401
    assert session.post(f"{guarded}/login", data={"token": token}).status_code == 401
    if "\0" not in token:
        headers = {"Authorization": f"Bearer {token}".encode()}
        assert session.get(url, headers=headers).status_code == 401


def test_a_file_is_no_token_and_a_large_form_is_refused(guarded, session):
    login = f"{guarded}/login"
    assert session.post(login, files={"token": ("token", TOKEN)}).status_code == 401
    assert session.post(login, data={"token": "x" * 10_000}).status_code == 413


def test_tokens_are_compared_in_constant_time(serve, session, monkeypatch):
    compared = []

    def compare(a, b):
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr("edgenet.view.access.hmac", type("", (), {"compare_digest": compare}))
    url = serve(token=TOKEN).view.url
    for status, token in ((401, "wrong"), (200, TOKEN)):
        assert session.get(f"{url}state.json", params={"token": token}).status_code == status
        assert compared.pop() == (token.encode(), TOKEN.encode())


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1", "127.1.2.3:80", "[::1]:1"]
)
def test_without_a_token_the_names_of_this_machine_are_answered(free, session, host):
    assert session.get(f"{free}/state.json", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "192.168.1.7",
        "[::2]",
        "::",
    ],
)
@pytest.mark.parametrize("path", [*DATA, *OPEN, "/healthz"])
def test_without_a_token_another_name_is_refused(free, session, host, path):
    answer = session.get(free + path, headers={"Host": host})
    assert answer.status_code == 403
    assert "localhost" in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
@pytest.mark.parametrize("path", ["/live", "/state.json", "/snapshot.jpg"])
def test_the_pages_of_other_sites_get_nothing(free, session, origin, path):
    headers = {"Origin": origin, **(UPGRADE if path == "/live" else {})}
    assert session.get(free + path, headers=headers).status_code == 403


def test_the_page_itself_may_ask(free, session):
    headers = {"Origin": free, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert session.get(f"{free}/state.json", headers=headers).status_code == 200


def test_other_sites_can_link_to_the_page_but_not_embed_it(free, session):
    fetch = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert session.get(f"{free}/snapshot.jpg", headers=fetch).status_code == 403
    fetch["Sec-Fetch-Mode"] = "navigate"
    page = session.get(f"{free}/", headers=fetch)
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/", "/view.js", "/state.json", "/snapshot.jpg", "/nothing", "/login"]
)
def test_every_answer_says_what_a_browser_may_do_with_it(free, session, path):
    headers = session.get(free + path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Server"] == "edgenet"


@pytest.mark.parametrize(
    "path", ["/../server.py", "/page.html", "/page/page.html", "/%2e%2e/server.py"]
)
def test_only_the_addresses_of_the_view_are_there(free, session, path):
    assert session.get(free + path).status_code == 404


def test_the_token_is_in_no_log(serve, session, statistics, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    url = serve(token=TOKEN).view.url
    session.get(url, params={"token": TOKEN})
    session.get(f"{url}nothing?token={TOKEN}")
    session.get(f"{url}snapshot.jpg", headers={"Authorization": f"Bearer {TOKEN}"})
    session.post(f"{url}login", data={"token": TOKEN})
    session.get(f"{url}?token={TOKEN}%zz\x01")
    statistics.changes["no such field"] = 1  # the next request fails within
    assert session.get(f"{url}state.json?token={TOKEN}").status_code == 500
    assert "no such field" in caplog.text
    mine = [one for one in caplog.records if not one.name.startswith("urllib3")]
    assert mine
    assert not any(TOKEN in one.getMessage() + str(one.exc_text) for one in mine)
