"""Cameras on the network, against servers on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import itertools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.errors import SourceError, UsageError
from edgenet.stream import mjpeg
from edgenet.stream.fake import Fake, read_number
from edgenet.stream.grabber import Grabber
from edgenet.stream.mjpeg import Mjpeg, Parts
from edgenet.stream.mode import Mode
from edgenet.stream.network import PORTS, Rtsp, parse, without_secrets
from edgenet.stream.source import open_source

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

CARDS = 50


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """A folder of test cards, card000.jpg and so on, each with its number in it."""
    folder = tmp_path_factory.mktemp("cards")
    camera = Fake(Mode((320, 240)))
    for number in range(CARDS):
        rgb = camera.picture(number)
        cv2.imwrite(str(folder / f"card{number:03d}.jpg"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return folder


@pytest.fixture(scope="module")
def jpegs(cards):
    return [path.read_bytes() for path in sorted(cards.glob("*.jpg"))]


def numbers(frames, count):
    return [read_number(frame.rgb) for frame in itertools.islice(frames, count)]


# addresses


@pytest.mark.parametrize(
    ("url", "shown", "port", "user", "password"),
    [
        ("http://cam/x?pwd=secret", "http://cam", 80, None, None),
        ("https://cam:8443/", "https://cam:8443", 8443, None, None),
        ("rtsp://me:s%40cret@cam/1", "rtsp://cam", 554, "me", "s@cret"),
        ("rtsps://me@cam/1", "rtsps://cam", 322, "me", None),
        ("HTTP://[fe80::1]:81/v", "http://[fe80::1]:81", 81, None, None),
    ],
)
def test_address_is_shown_without_what_may_be_secret(url, shown, port, user, password):
    address = parse(url)
    assert (address.shown, address.port or PORTS[address.scheme]) == (shown, port)
    assert (address.user, address.password) == (user, password)
    assert "@" not in address.bare
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    "url",
    ["http://", "rtsp://me:secret@", "http://me:secret@cam:port/", "http://me:secret@[cam/"],
)
def test_malformed_address_is_refused_without_being_repeated(url):
    with pytest.raises(UsageError, match=r"is malformed; write (http|rtsp)://HOST:PORT/PATH") as e:
        open_source(url)
    assert "secret" not in str(e.value)


def test_other_kinds_of_address_are_refused():
    with pytest.raises(UsageError, match=r"no kind of address 'rstp://'; did you mean 'rtsp://'"):
        open_source("rstp://cam/1")


def test_what_is_no_address_is_shown_as_it_is():
    assert without_secrets("picam:640x480") == "picam:640x480"


# MJPEG over HTTP


class Camera(http.server.BaseHTTPRequestHandler):
    """One behaviour a path; the pictures are the server's."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        getattr(self, f"get_{self.path.strip('/').partition('?')[0]}", self.get_nothing)()

    def get_nothing(self):
        self.send_error(404)

    def get_stream(self, boundary="frame", announced=None, *, length=True):
        self.send_response(200)
        announced = announced or boundary
        kind = f"multipart/x-mixed-replace; boundary={announced}"
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        for jpeg in self.server.pictures():
            size = f"Content-Length: {len(jpeg)}\r\n" if length else ""
            head = f"--{boundary}\r\nContent-Type: image/jpeg\r\n{size}\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
        self.wfile.write(f"--{boundary}--\r\n".encode())
        self.server.sent.set()
        self.close_connection = True

    def get_unmeasured(self):
        self.get_stream(length=False)

    def get_dashed(self):
        self.get_stream(announced='"--frame"')

    def get_basic(self):
        given = self.headers.get("Authorization")
        if given == "Basic bWU6c0BjcmV0":  # me:s@cret
            return self.get_stream()
        return self.challenge('Basic realm="camera"')

    def get_digest(self):
        def md5(text):
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        given = self.headers.get("Authorization", "")
        parts = dict(p.split("=", 1) for p in given.removeprefix("Digest ").split(", ") if p)
        parts = {name: value.strip('"') for name, value in parts.items()}
        if parts:
            first, second = md5("me:camera:s@cret"), md5(f"GET:{self.path}")
            middle = f"{parts['nonce']}:{parts['nc']}:{parts['cnonce']}:{parts['qop']}"
            if parts["response"] == md5(f"{first}:{middle}:{second}"):
                return self.get_stream()
        return self.challenge('Digest realm="camera", nonce="n0", qop="auth", algorithm=MD5')

    def challenge(self, how):
        self.send_response(401)
        self.send_header("WWW-Authenticate", how)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def get_snapshot(self):
        self.answer("image/jpeg", next(iter(self.server.pictures())))

    def get_page(self):
        self.answer("text/html", b"<html>")

    def get_endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.wfile.write(b"x" * (1 << 17))
        self.close_connection = True

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


@pytest.fixture
def server(jpegs):
    server = Server(("127.0.0.1", 0), Camera)
    server.pictures = lambda: iter(jpegs[:10])
    server.sent = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def url(server, path, user=""):
    return f"http://{user}127.0.0.1:{server.server_port}/{path}"


class Steps:
    """Pictures that are sent one at a time, when told to."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.go = threading.Semaphore(0)

    def __call__(self):
        for picture in self.pictures:
            self.go.acquire()
            yield picture


def read_all(source):
    """All numbers of a stream that ends."""
    found = []

    def read():
        found.extend((frame.index, read_number(frame.rgb)) for frame in source)

    with pytest.raises(SourceError, match=r"^http://127\.0\.0\.1:\d+: the stream ended"):
        read()
    source.close()
    return found


@pytest.mark.parametrize("path", ["stream", "dashed", "stream?pwd=secret"])
def test_pictures_of_an_http_camera_are_read_one_by_one(server, jpegs, path):
    steps = server.pictures = Steps(jpegs[:4])
    source = open_source(url(server, path))
    assert isinstance(source, Mjpeg)
    assert source.live
    frames = iter(source)
    steps.go.release()
    for number in range(3):
        frame = next(frames)
        assert (frame.index, read_number(frame.rgb)) == (number, number)
        assert frame.name == source.address.shown == f"http://127.0.0.1:{server.server_port}"
        assert frame.captured_ms <= time.monotonic() * 1e3
        assert frame.rgb[60, 20, 0] > 150 > frame.rgb[60, 20, 2]  # red stays red
        steps.go.release()
    source.close()


def test_of_pictures_that_wait_only_the_newest_is_decoded(server, monkeypatch):
    monkeypatch.setattr(mjpeg, "_DRAIN_S", 60.0)
    source = Mjpeg(url(server, "stream"))
    assert server.sent.wait(60)
    assert read_all(source) == [(9, 9)]


def test_pictures_without_a_length_end_where_the_next_begins(server):
    found = read_all(Mjpeg(url(server, "unmeasured")))
    assert found[-1] == (9, 9)
    assert all(index == number for index, number in found)


def test_picture_that_cannot_be_decoded_is_left_out(server, jpegs):
    steps = server.pictures = Steps([jpegs[0], b"noise", jpegs[2]])
    source = Mjpeg(url(server, "stream"))
    frames = iter(source)
    steps.go.release()
    assert next(frames).index == 0
    steps.go.release()
    steps.go.release()
    assert next(frames).index == 2
    source.close()


def test_stream_of_what_is_no_picture_is_an_error(server, monkeypatch):
    monkeypatch.setattr(mjpeg, "_DRAIN_S", 0.0)
    steps = server.pictures = Steps([b"noise" * 20_000] * 60)
    for _ in range(60):
        steps.go.release()
    source = Mjpeg(url(server, "stream"))
    with pytest.raises(SourceError, match=r"in a row are none; http://127\.\S+: not a picture"):
        list(source)
    source.close()


@pytest.mark.parametrize("kind", ["basic", "digest"])
def test_user_and_password_of_the_address_are_used_and_never_shown(server, kind):
    source = Mjpeg(url(server, kind, "me:s%40cret@"))
    frame = next(iter(source))
    source.close()
    assert "me" not in frame.name
    for user in ("", "me:wrong-secret@"):
        with pytest.raises(SourceError, match="refuses the user or password") as refused:
            Mjpeg(url(server, kind, user))
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("elsewhere", "has nothing at this path"),
        ("snapshot", r"answers with one picture \(image/jpeg\)"),
        ("page", "answers with text/html, not with MJPEG"),
    ],
)
def test_answer_that_is_no_stream_is_refused_in_words(server, path, message):
    with pytest.raises(SourceError, match=message):
        Mjpeg(url(server, path))


def test_stream_without_parts_is_refused(server):
    source = Mjpeg(url(server, "endless"))
    with pytest.raises(SourceError, match="what it sends is no MJPEG"):
        list(source)
    source.close()


def test_server_that_is_not_there_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for scheme in ("http", "rtsp"):
            with pytest.raises(SourceError, match=r"cannot be reached \(Connection refused\)"):
                open_source(f"{scheme}://me:secret@127.0.0.1:{port}/")


@pytest.mark.tool("openssl")
def test_certificate_that_nobody_vouches_for_is_refused_in_words(server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=camera", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(SourceError, match=r"a certificate that is not trusted here \(self.signed"):
        Mjpeg(url(server, "stream").replace("http:", "https:"))


def test_silent_camera_is_an_error_after_a_while(server, monkeypatch):
    monkeypatch.setattr(mjpeg, "SILENCE_S", 0.05)
    server.pictures = Steps([b"never sent"])
    source = Mjpeg(url(server, "stream"))
    with pytest.raises(SourceError, match=r": nothing for 0\.05 s"):
        next(iter(source))
    source.close()


def test_close_ends_a_read_that_waits(server, jpegs):
    steps = server.pictures = Steps(jpegs)
    source = Mjpeg(url(server, "stream"))
    steps.go.release()
    frames = iter(source)
    next(frames)
    ended = threading.Event()

    def read_on():
        assert list(frames) == []
        ended.set()

    threading.Thread(target=read_on, daemon=True).start()
    source.close()
    assert ended.wait(60)
    source.close()


def test_grabber_comes_back_to_a_camera_that_hung_up(server):
    events = []
    grabber = Grabber(lambda: open_source(url(server, "stream")), on_event=events.append)
    monotone = -1
    for frame in grabber:
        assert frame.index > monotone
        monotone = frame.index
        if monotone >= 10:
            grabber.close()
    assert events[0].endswith("the stream ended; opening it again until it is back")
    assert events[1].startswith("the camera is back after")


@given(st.binary(max_size=40), st.lists(st.integers(1, 60), max_size=30), st.booleans())
def test_parts_are_found_however_they_are_cut(noise, cuts, measured):
    bodies = [b"\xff\xd8one\xff\xd9", b"\xff\xd8" + noise.replace(b"-", b"") + b"\xff\xd9"] * 3
    stream = b"preamble\r\n"
    for body in bodies:
        size = b"Content-length: %d\r\n" % len(body) if measured else b""
        stream += b"--x y\r\nContent-Type: image/jpeg\r\n" + size + b"\r\n" + body + b"\r\n"
    stream += b"--x y--\r\n"
    parts, found, at = Parts("--x y"), [], 0
    for cut in [*cuts, len(stream)]:
        found += parts.feed(stream[at : at + cut], "camera")
        at += cut
    assert found == bodies


@pytest.mark.tool("ffmpeg")
def test_ffmpeg_as_an_http_camera(cards):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kind = "multipart/x-mixed-replace; boundary=ffmpeg"
    command = ["ffmpeg", "-v", "error", "-re", "-loop", "1", "-framerate", "25"]
    command += ["-i", str(cards / "card%03d.jpg"), "-c", "copy", "-f", "mpjpeg"]
    command += ["-content_type", kind, "-listen", "1", f"http://127.0.0.1:{port}/cam"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            source = patiently(lambda: Mjpeg(f"http://127.0.0.1:{port}/cam"), process)
            found = numbers(source, 5)
            source.close()
        finally:
            process.kill()
    assert found == sorted(found)
    assert None not in found


def patiently(opening, process):
    """Open a server that needs a moment to listen."""
    until = time.monotonic() + 60
    while True:
        try:
            return opening()
        except SourceError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.05)


# RTSP


@pytest.fixture
def rtsp(cards):
    """Starts the server; gives its process and its port."""
    running = []

    def start(*credentials):
        # Debian's python has gi, the tests' own need not
        command = [
            shutil.which("python3", path="/usr/bin"),
            str(Path(__file__).parent / "rtsp_server.py"),
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": str(cards)}
        process = subprocess.Popen(
            [*command, str(cards), *credentials],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        running.append(process)
        port = process.stdout.readline().strip()
        assert port, "the RTSP server does not start"
        return process, int(port)

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.tool("gst-launch-1.0")
def test_rtsp_camera_over_tcp(rtsp):
    process, port = rtsp()
    source = open_source(f"rtsp://127.0.0.1:{port}/cam?pwd=secret")
    assert isinstance(source, Rtsp)
    assert source._capture.get(cv2.CAP_PROP_N_THREADS) == 1
    frames = iter(source)
    first = next(frames)
    assert (first.name, first.rgb.shape) == (f"rtsp://127.0.0.1:{port}", (240, 320, 3))
    assert first.rgb[60, 20, 0] > 150 > first.rgb[60, 20, 2]
    found = [read_number(first.rgb), *numbers(frames, 4)]
    assert None not in found
    assert [(b - a) % CARDS for a, b in itertools.pairwise(found)] == [1] * 4
    assert udp_sockets() == set()
    # the camera is switched off
    process.send_signal(signal.SIGKILL)
    with pytest.raises(SourceError, match=rf"rtsp://127.0.0.1:{port}: the stream ended"):
        list(frames)
    source.close()
    assert list(source) == []


def udp_sockets():
    """The UDP sockets of this process: RTP over TCP needs none."""
    mine = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            mine.add(str(entry.readlink()))
    table = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return mine & {f"socket:[{line.split()[9]}]" for line in table}


@pytest.mark.tool("gst-launch-1.0")
def test_rtsp_camera_with_a_password(rtsp):
    _, port = rtsp("me", "s@cret")
    source = open_source(f"rtsp://me:s%40cret@127.0.0.1:{port}/cam")
    assert next(iter(source)).name == f"rtsp://127.0.0.1:{port}"
    source.close()
    with pytest.raises(
        SourceError, match="answers but gives no video; check the path, the user"
    ) as e:
        open_source(f"rtsp://me:wrong-secret@127.0.0.1:{port}/cam")
    assert "secret" not in str(e.value)


@pytest.mark.parametrize("wanted", [None, "rtsp_transport;udp"])
def test_tcp_is_asked_for_while_the_stream_is_opened_and_no_longer(monkeypatch, wanted):
    name, seen = "OPENCV_FFMPEG_CAPTURE_OPTIONS", []
    monkeypatch.delenv(name, raising=False)
    if wanted:
        monkeypatch.setenv(name, wanted)
    before = dict(os.environ)

    class Closed:
        def __init__(self, *arguments):
            seen.append(os.environ.get(name))

        def isOpened(self):  # noqa: N802
            return False

    monkeypatch.setattr(cv2, "VideoCapture", Closed)
    refused = pytest.raises(SourceError, match="answers but gives no video")
    with socket.create_server(("127.0.0.1", 0)) as camera, refused:
        Rtsp(f"rtsp://127.0.0.1:{camera.getsockname()[1]}/cam")
    assert seen == [wanted or "rtsp_transport;tcp"]
    assert dict(os.environ) == before


def test_missing_opencv_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(Exception, match="an RTSP stream needs OpenCV"):
        Rtsp("rtsp://127.0.0.1:1/")
