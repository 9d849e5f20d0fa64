"""The words that name a sink, and the sentences that refuse them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from edgenet.errors import UsageError
from edgenet.stream.sinks import open_sink, open_sinks
from edgenet.stream.sinks.secret import secret
from edgenet.stream.sinks.url import parse


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mqqt://host/a", r"no sink 'mqqt'; did you mean 'mqtt'\? \(csv, gpio, http, .*\)"),
        ("", r"no sink ''; choose one of"),
        ("mqtt://host", r"mqtt://host names no topic; write mqtt://host/TOPIC"),
        ("mqtt:///topic", "mqtt: the address is malformed or names no host"),
        ("mqtt://host:none/a", "mqtt: the address is malformed"),
        ("mqtt://host/a+b", r"mqtt://host/a\+b: a topic holds no \+"),
        ("mqtt://host/a#b", r"no option 'b'; choose one of \(discovery, every\)"),
        ("mqtt://host/a#evry=1", "no option 'evry'; did you mean 'every'"),
        ("mqtt://host/a#every=-1", "every=-1 is no number of seconds from 0 up"),
        ("mqtt://host/a#every=inf", "every=inf is no number of seconds"),
        ("http://host/a#every=soon", "every=soon is no number of seconds"),
        ("https://", "https: the address is malformed or names no host"),
        ("gpio:17", "'gpio:17' is no pin and label; write gpio:PIN=LABEL"),
        ("gpio:x=cat", "is no pin and label"),
        ("gpio:17=cow", r"no label 'cow'; .*\(a:2, ant, bee, cat\)"),
        ("gpio:17=cat:0", "at least 1 frame is needed"),
    ],
)
def test_wrong_words_get_one_sentence(setting, text, message):
    with pytest.raises(UsageError, match=message):
        open_sink(text, setting)


@pytest.mark.parametrize("text", ["mqtt://me:hunter2@host/a", "https://me:hunter2@host/a"])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(setting, text):
    with pytest.raises(UsageError, match=r"leave it out and set EDGENET_\w+, or") as refusal:
        open_sink(text, setting)
    assert "hunter2" not in str(refusal.value)


def test_an_address_is_shown_without_its_user_and_options():
    found = parse("mqtt://me@host:99/a/b#every=2", secret="X", options=("every",))
    url = found.url
    assert (url.host, url.port, url.user, url.path) == ("host", 99, "me", "/a/b")
    assert (url.bare, url.shown) == ("mqtt://host:99/a/b", "mqtt://host:99")
    assert found.seconds("every", 1.0) == 2.0


def test_special_characters_of_a_user_are_percent_codes():
    found = parse("mqtt://a%40b@[::1]/t", secret="X", options=())
    assert (found.url.user, found.url.bare) == ("a@b", "mqtt://[::1]/t")


def test_a_malformed_address_may_hold_a_password_and_is_not_repeated(setting):
    with pytest.raises(UsageError, match="malformed") as refusal:
        open_sink("mqtt://me:hunter/2@host/a", setting)
    assert "hunter" not in str(refusal.value)


def test_a_user_of_a_webhook_is_refused(setting):
    with pytest.raises(
        UsageError, match=r"^http://host: a user in the address is not sent; .*TOKEN"
    ):
        open_sink("http://me@host/hook", setting)


def test_a_webhooks_own_query_is_kept():
    found = parse("https://host/hook?a=1&b=2#every=0", secret="X", options=("every",))
    assert found.url.bare == "https://host/hook?a=1&b=2"


def test_two_sinks_on_standard_output_are_refused(setting):
    with ExitStack() as opened, pytest.raises(UsageError, match="share standard output"):
        open_sinks(["json", "csv"], setting, opened)


def test_sinks_that_were_opened_before_a_wrong_one_are_closed(setting, tmp_path):
    with pytest.raises(UsageError), ExitStack() as opened:
        open_sinks([f"csv:{tmp_path / 'a.csv'}", "nonsense"], setting, opened)
    # an open file would be a ResourceWarning, which is an error here
    assert (tmp_path / "a.csv").is_file()


# secrets


def test_a_secret_is_in_the_environment_or_in_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("from a file\n")
    assert secret("X", {}) is None
    assert secret("X", {"X": "direct"}) == "direct"
    assert secret("X", {"X_FILE": str(file)}) == "from a file"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), ("\n", "is empty"), (b"\xff", "is no text")],
)
def test_a_file_without_a_secret_is_one_sentence(tmp_path, content, message):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=message):
        secret("X", {"X_FILE": str(file)})


def test_two_secrets_for_one_purpose_are_refused(tmp_path):
    with pytest.raises(UsageError, match="both X and X_FILE are set"):
        secret("X", {"X": "a", "X_FILE": str(tmp_path)})
