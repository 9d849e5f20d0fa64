from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from edgenet import image
from edgenet.stream.fake import read_number
from edgenet.stream.sinks.document import document
from edgenet.view import message, routes
from edgenet.view.message import Message

from .conftest import CARD, LABELS, STAGES, Loop

Socket = aiohttp.ClientWebSocketResponse


def get(loop: Loop, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(loop.view.url + path, timeout=20, **options)


def talk(loop: Loop, conversation: Callable[[Socket], Awaitable[None]]) -> None:
    """Hold a conversation over the web socket."""

    async def hold() -> None:
        async with (
            asyncio.timeout(20),
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{loop.view.url}live") as socket,
        ):
            await conversation(socket)

    asyncio.run(hold())


async def ask(socket: Socket) -> tuple[dict[str, Any], np.ndarray | None]:
    """Say next; the message and its picture."""
    await socket.send_str("next")
    told = json.loads(await socket.receive_str())
    if not told["picture"]:
        return told, None
    return told, image.decode_rgb(await socket.receive_bytes(), "the picture")


def test_health_is_good_only_while_frames_are_classified(serve, statistics):
    loop = serve()
    waiting = get(loop, "healthz")
    assert (waiting.status_code, waiting.json()["status"]) == (503, "starting")
    assert waiting.json()["reason"].startswith("no frame yet, ")
    loop.give()
    assert get(loop, "healthz").json() == {"status": "live", "reason": None}
    assert get(loop, "healthz").status_code == 200
    statistics.changes["since_s"] = message.STALE_S + 7
    lost = get(loop, "healthz")
    assert (lost.status_code, lost.json()) == (
        503,
        {"status": "lost", "reason": "no frame for 12 s"},
    )


def test_health_is_open_and_tells_nothing_of_the_camera(serve, statistics):
    loop = serve(token="correct-horse-battery")
    loop.give("a secret label")
    statistics.note("the camera is lost: rtsp://user:password@camera")
    statistics.changes["since_s"] = 60.0
    answer = get(loop, "healthz")
    assert answer.status_code == 503
    assert set(answer.json()) == {"status", "reason"}
    assert not any(word in answer.text for word in ("secret", "password", "camera"))


def test_the_metrics_are_those_of_the_loop(serve):
    loop = serve()
    for _ in range(3):
        loop.give('cat "\\\n')
    answer = get(loop, "metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["edgenet_frames_total",] == 3
    assert found["edgenet_frames_dropped_total",] == 3
    assert found["edgenet_results_total", 'cat "\\\n'] == 3
    accepts = {"Accept": "application/openmetrics-text"}
    assert get(loop, "metrics", headers=accepts).text.endswith("# EOF\n")


def test_a_snapshot_is_the_newest_frame_in_its_own_size(serve):
    loop = serve()
    assert get(loop, "snapshot.jpg").status_code == 503
    large = np.tile(CARD.picture(77), (4, 4, 1))
    loop.give()
    loop.give(rgb=large)
    answer = get(loop, "snapshot.jpg")
    assert answer.headers["Content-Type"] == "image/jpeg"
    shown = image.decode_rgb(answer.content, "it")
    assert shown.shape == large.shape
    assert np.abs(shown.astype(int) - large).mean() < 4
    when = datetime.strptime(answer.headers["Last-Modified"], "%a, %d %b %Y %H:%M:%S GMT")
    assert abs((datetime.now(UTC) - when.replace(tzinfo=UTC)).total_seconds()) < 60
    assert read_number(image.decode_rgb(get(loop, "snapshot.jpg").content, "it")[:240, :320]) == 77
    number = loop.give()
    assert read_number(image.decode_rgb(get(loop, "snapshot.jpg").content, "it")) == number


def test_the_state_is_the_loops(serve, statistics):
    loop = serve()
    first = get(loop, "state.json").json()
    assert first["result"] is None
    assert first["state"]["status"] == "starting"
    for _ in range(3):
        loop.give()
    told = msgspec.json.decode(get(loop, "state.json").content, type=Message, strict=True)
    assert told.result == msgspec.to_builtins(document(loop.view._newest.shown.result))
    assert told.result["label"] == "cat"
    state, now = told.state, statistics.snapshot()
    assert state.status == "live"
    assert state.reason is None
    assert (state.frames, state.dropped, state.classes) == (3, 3, len(LABELS))
    assert state.latency_ms == message.Latency(now.p50_ms, now.p90_ms, now.p99_ms)
    assert state.stage_ms == {**STAGES, "publish": 0.25}
    assert state.recent_ms == (10.5, 10.5, 10.5)


def test_the_latencies_to_plot_are_the_last_ones(serve, statistics):
    loop = serve()
    statistics.changes["recent_ms"] = tuple(map(float, range(300)))
    recent = get(loop, "state.json").json()["state"]["recent_ms"]
    assert recent == list(map(float, range(300 - message.PLOTTED, 300)))


def test_what_the_source_says_is_the_reason_until_the_next_result(serve, statistics):
    loop = serve()
    statistics.note("opening the camera")
    state = get(loop, "state.json").json()["state"]
    assert (state["status"], state["reason"]) == ("starting", "opening the camera")
    loop.give()
    assert get(loop, "state.json").json()["state"]["status"] == "live"
    statistics.note("the camera is lost")
    state = get(loop, "state.json").json()["state"]
    assert (state["status"], state["reason"]) == ("lost", "the camera is lost")
    loop.give()
    assert get(loop, "state.json").json()["state"]["reason"] is None


def test_every_next_is_answered_with_the_newest_frame_and_its_result(serve):
    loop = serve()

    async def converse(socket: Socket) -> None:
        for label in ("cat", "dog", "owl"):
            loop.give("passed by")
            loop.give("passed by")
            number = loop.give(label)
            told, picture = await ask(socket)
            assert told["result"]["frame"] == number == read_number(picture)
            assert told["result"]["label"] == label

    talk(loop, converse)


def test_a_viewer_gets_each_frame_once_and_waits_for_the_next(serve):
    loop = serve()

    async def converse(socket: Socket) -> None:
        loop.give()
        await ask(socket)
        asked = asyncio.create_task(ask(socket))
        await asyncio.sleep(0.05)
        assert not asked.done()
        number = loop.give()
        told, picture = await asked
        assert told["result"]["frame"] == number == read_number(picture)

    talk(loop, converse)


def test_without_news_a_viewer_hears_the_state(serve, statistics, monkeypatch):
    monkeypatch.setattr(routes, "QUIET_S", 0.01)
    loop = serve()

    async def converse(socket: Socket) -> None:
        told, picture = await ask(socket)
        assert (told["result"], picture, told["state"]["status"]) == (None, None, "starting")
        loop.give()
        await ask(socket)
        statistics.note("the camera is lost")
        told, picture = await ask(socket)
        assert (told["result"], picture, told["state"]["status"]) == (None, None, "lost")

    talk(loop, converse)


def test_the_state_comes_with_the_first_picture_and_then_from_time_to_time(serve, monkeypatch):
    monkeypatch.setattr(routes, "STATE_PERIOD_S", 3600.0)
    loop = serve()

    async def converse(socket: Socket) -> None:
        loop.give()
        assert (await ask(socket))[0]["state"]["frames"] == 1
        loop.give()
        assert (await ask(socket))[0]["state"] is None
        monkeypatch.setattr(routes, "STATE_PERIOD_S", 0.0)
        loop.give()
        assert (await ask(socket))[0]["state"]["frames"] == 3

    talk(loop, converse)


@pytest.mark.parametrize("said", ["previous", b"next", ""])
def test_a_viewer_that_says_anything_else_is_sent_away(serve, said):
    loop = serve()

    async def converse(socket: Socket) -> None:
        await (socket.send_bytes if isinstance(said, bytes) else socket.send_str)(said)
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert socket.close_code == 1003

    talk(loop, converse)


def test_live_is_for_web_sockets(serve):
    assert get(serve(), "live").status_code == 400


def test_motion_jpeg_shows_the_frames_in_order(serve):
    loop = serve()
    loop.give()
    with requests.Session() as session:
        session.trust_env = False
        with session.get(f"{loop.view.url}stream.mjpg", stream=True, timeout=20) as answer:
            kind = answer.headers["Content-Type"]
            assert kind.startswith("multipart/x-mixed-replace; boundary=")
            boundary = kind.partition("boundary=")[2].encode()
            assert answer.raw.readline() == b"--" + boundary + b"\r\n"
            for _ in range(3):
                assert answer.raw.readline() == b"Content-Type: image/jpeg\r\n"
                size = int(answer.raw.readline().partition(b": ")[2])
                assert answer.raw.readline() == b"\r\n"
                picture = image.decode_rgb(answer.raw.read(size), "a part")
                assert read_number(picture) == loop.number
                assert answer.raw.readline() == b"\r\n"
                # the boundary is there before the next frame is
                assert answer.raw.readline() == b"--" + boundary + b"\r\n"
                loop.give()


def test_more_viewers_than_a_board_can_serve_are_refused(serve, monkeypatch):
    monkeypatch.setattr(routes, "VIEWERS", 2)
    loop = serve()

    async def hold() -> None:
        async with aiohttp.ClientSession() as session:
            live = f"{loop.view.url}live"
            async with session.ws_connect(live):
                async with session.ws_connect(live):
                    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                        await session.ws_connect(live)
                    assert refusal.value.status == 503
                    refused = await session.get(f"{loop.view.url}stream.mjpg")
                    assert refused.status == 503
                    assert "2 viewers" in await refused.text()
                async with asyncio.timeout(20):
                    while loop.view._routes._viewers > 1:
                        await asyncio.sleep(0.01)
                await (await session.ws_connect(live)).close()

    asyncio.run(hold())
