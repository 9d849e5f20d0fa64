"""The webhook sink against servers on loopback."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgenet.stream.sinks import open_sink, webhook

pytest.importorskip("requests", reason="requests is not installed")


class Server(ThreadingHTTPServer):
    """Answers with the statuses it is given, then with 204; keeps what was posted."""

    daemon_threads = True

    def __init__(self, *statuses):
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = list(statuses)
        self.posts = []
        self.changed = threading.Condition()
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posts) >= count, 20), self.posts
        return [json.loads(body) for _, body in self.posts]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        server.asked.set()
        server.may_answer.wait(20)
        with server.changed:
            status = server.statuses.pop(0) if server.statuses else 204
            server.posts.append((dict(self.headers), body))
            server.changed.notify_all()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@contextmanager
def serving(*statuses, context=None):
    with Server(*statuses) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()


@contextmanager
def sink_on(server, setting, words="/hook#every=0", scheme="http"):
    sink = open_sink(f"{scheme}://localhost:{server.server_port}{words}", setting)
    try:
        yield sink
    finally:
        sink.close()


@pytest.fixture
def no_waits(monkeypatch):
    monkeypatch.setattr(webhook, "_DELAYS_S", (0.01,))


def test_results_are_posted_as_json(setting, make, frame):
    with serving() as server, sink_on(server, setting, "/hook?door=1#every=0") as sink:
        sink.publish(make("cat", frame=1), frame)
        sink.publish(make("bee", frame=2), frame)
        assert [post["frame"] for post in server.wait_for(2)] == [1, 2]
        headers, _ = server.posts[0]
        assert headers["Content-Type"] == "application/json"
        assert "Authorization" not in headers


def test_the_token_is_a_header_from_the_environment(setting, make, frame, monkeypatch):
    monkeypatch.setenv("EDGENET_WEBHOOK_TOKEN", "hunter2")
    with serving() as server, sink_on(server, setting) as sink:
        sink.publish(make(), frame)
        server.wait_for(1)
        assert server.posts[0][0]["Authorization"] == "Bearer hunter2"


def test_what_is_queued_is_sent_before_the_end(setting, make, frame):
    with serving() as server:
        with sink_on(server, setting) as sink:
            for index in range(5):
                sink.publish(make(frame=index), frame)
        assert [post["frame"] for post in server.wait_for(5)] == list(range(5))


def test_a_slow_server_costs_the_loop_nothing_and_gets_the_newest(setting, make, frame):
    with serving() as server, sink_on(server, setting) as sink:
        server.may_answer.clear()
        sink.publish(make(frame=0), frame)
        assert server.asked.wait(20)
        for index in range(1, 1000):
            sink.publish(make(frame=index), frame)
        server.may_answer.set()
        frames = [post["frame"] for post in server.wait_for(1 + webhook.QUEUE)]
    # the one that was on its way, and the newest that the queue holds
    assert frames == [0, *range(1000 - webhook.QUEUE, 1000)]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_gets_the_result_again(setting, said, make, frame, no_waits, status):
    with serving(status, status) as server, sink_on(server, setting) as sink:
        sink.publish(make(frame=7), frame)
        assert [post["frame"] for post in server.wait_for(3)] == [7, 7, 7]
        said.wait_for("takes results again")
    assert f"takes no results (it answers {status}); trying again" in said[0]
    assert len(said) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_drops_the_result_and_is_said_once(setting, said, make, frame, no_waits, status):
    with serving(status, status, 200) as server, sink_on(server, setting) as sink:
        for index in range(3):
            sink.publish(make(frame=index), frame)
        assert [post["frame"] for post in server.wait_for(3)] == [0, 1, 2]
        said.wait_for("takes results again")
    assert f"(it answers {status}); leaving such results out" in said[0]
    assert len(said) == 2


def test_a_server_that_is_not_there_is_tried_until_it_is(setting, said, make, frame, no_waits):
    with serving() as server:
        port = server.server_port
    sink = open_sink(f"http://127.0.0.1:{port}/hook", setting)
    sink.publish(make(), frame)
    said.wait_for(f"http://127.0.0.1:{port} takes no results (it cannot be reached)")
    sink.close()
    sink._thread.join(20)
    assert not sink._thread.is_alive()
    assert len(said) == 1


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A key and a certificate for localhost that nobody vouches for."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    key, found = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    subject = "subjectAltName=DNS:localhost"
    subprocess.run(
        ["openssl", *words.split(), "-addext", subject, "-keyout", key, "-out", found],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found, key)
    return context, found


@pytest.mark.tool("openssl")
def test_a_certificate_that_nobody_vouches_for_is_refused(setting, said, make, frame, certificate):
    context, _ = certificate
    with serving(context=context) as server:
        with sink_on(server, setting, scheme="https") as sink:
            sink.publish(make(), frame)
            said.wait_for("takes no results (its certificate cannot be verified)")
        assert server.posts == []


@pytest.mark.tool("openssl")
def test_a_certificate_that_the_user_trusts_is_taken(
    setting, make, frame, certificate, monkeypatch
):
    context, found = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(found))
    with (
        serving(context=context) as server,
        sink_on(server, setting, scheme="https") as sink,
    ):
        sink.publish(make(frame=3), frame)
        assert server.wait_for(1)[0]["frame"] == 3
