from __future__ import annotations

import asyncio
import json
import socket
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from edgenet import image
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.view import pictures, routes, server
from edgenet.view.newest import Newest
from edgenet.view.pictures import FASTEST_HZ, LARGEST_SHARE, Pictures

RESULT = Result(0, "", (), "unknown", {}, None, 0, 0.0)


def frame(number: int) -> Frame:
    return Frame(number, 0.0, np.full((2, 2, 3), number, np.uint8))


class Wakes:
    """An event loop's door for other threads, which counts who knocks."""

    def __init__(self) -> None:
        self.count = 0

    def call_soon_threadsafe(self, call: object) -> None:
        self.count += 1


def test_nothing_is_encoded_while_nobody_looks(serve, encodes):
    loop = serve()
    for _ in range(100):
        loop.give()
    assert encodes == []


def test_publishing_keeps_one_frame_and_wakes_nobody_who_does_not_wait():
    wakes = Wakes()
    newest = Newest(wakes)
    frames = [frame(n) for n in range(5)]
    for one in frames:
        newest.leave(RESULT, one)
    assert wakes.count == 0
    assert newest.shown.frame is frames[-1]
    assert newest.shown.number == 5


def test_who_waits_is_woken_by_the_next_frame():
    async def wait() -> None:
        newest = Newest(asyncio.get_running_loop())
        newest.leave(RESULT, frame(1))
        assert (await newest.after(0, 20)).frame.index == 1
        waiting = [asyncio.create_task(newest.after(1, 20)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.to_thread(newest.leave, RESULT, frame(2))
        assert [one.frame.index for one in await asyncio.gather(*waiting)] == [2, 2, 2]
        assert await newest.after(2, 0.0) is None

    asyncio.run(wait())


def test_a_view_that_was_closed_takes_no_frame_amiss(serve):
    loop = serve()
    loop.view.close()
    loop.give()
    loop.view.close()


def test_one_encoding_serves_every_viewer(serve, encodes):
    loop = serve()
    viewers = 5

    async def look() -> None:
        async with aiohttp.ClientSession() as session:
            live = f"{loop.view.url}live"
            sockets = [await session.ws_connect(live) for _ in range(viewers)]
            for one in sockets:
                await one.send_str("next")
            async with asyncio.timeout(20):
                while loop.view._newest._waiting < viewers:
                    await asyncio.sleep(0.01)
                loop.give()
                shown = []
                for one in sockets:
                    assert json.loads(await one.receive_str())["picture"]
                    shown.append(await one.receive_bytes())
            assert len(set(shown)) == 1
            for one in sockets:
                await one.close()

    asyncio.run(look())
    assert encodes == [1]


@pytest.mark.parametrize("took_s", [0.001, 0.1])
def test_pictures_are_made_no_faster_than_eyes_need_and_in_a_share_of_one_core(monkeypatch, took_s):
    now, rested = [100.0], []

    async def sleep(seconds: float) -> None:
        rested.append(seconds)
        now[0] += seconds

    def encode(rgb: np.ndarray) -> bytes:
        now[0] += took_s
        return bytes(rgb[0, 0, :1])

    monkeypatch.setattr(pictures, "monotonic", lambda: now[0])
    monkeypatch.setattr(pictures.asyncio, "sleep", sleep)
    count = 20

    async def look() -> None:
        with ThreadPoolExecutor(1) as executor:
            newest = Newest(asyncio.get_running_loop())
            made = Pictures(newest, encode, executor)
            for number in range(1, count + 1):
                newest.leave(RESULT, frame(number))
                assert (await made.after(number - 1, 1)).jpeg == bytes([number])

    asyncio.run(look())
    took = (now[0] - 100.0) / (count - 1)
    assert took == pytest.approx(max(1 / FASTEST_HZ, took_s / LARGEST_SHARE), rel=0.1)


def test_viewers_share_a_picture_although_newer_frames_came_meanwhile(monkeypatch):
    monkeypatch.setattr(pictures, "FASTEST_HZ", 0.01)
    encoded = []

    async def look() -> None:
        with ThreadPoolExecutor(1) as executor:
            newest = Newest(asyncio.get_running_loop())

            def encode(rgb: np.ndarray) -> bytes:
                encoded.append(int(rgb[0, 0, 0]))
                newest.leave(RESULT, frame(len(encoded) + 1))
                return bytes(rgb[0, 0, :1])

            made = Pictures(newest, encode, executor)
            newest.leave(RESULT, frame(1))
            shown = await asyncio.gather(*(made.after(0, 1) for _ in range(5)))
            assert [one.jpeg for one in shown] == [b"\1"] * 5

    asyncio.run(look())
    assert encoded == [1]


def test_a_viewer_who_comes_late_gets_the_newest_frame_not_the_last_one_made():
    async def look() -> None:
        with ThreadPoolExecutor(1) as executor:
            newest = Newest(asyncio.get_running_loop())
            made = Pictures(newest, lambda rgb: bytes(rgb[0, 0, :1]), executor)
            newest.leave(RESULT, frame(1))
            assert (await made.after(0, 1)).jpeg == b"\1"
            await asyncio.sleep(2 / FASTEST_HZ)
            newest.leave(RESULT, frame(2))
            assert (await made.after(0, 1)).jpeg == b"\2"

    asyncio.run(look())


def test_live_pictures_are_shrunk_and_the_frame_is_left_alone(serve):
    loop = serve()
    noise = np.random.default_rng(0).integers(0, 256, (480, 1280, 3), np.uint8)
    before = noise.copy()

    async def look() -> bytes:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{loop.view.url}live") as viewer,
        ):
            loop.give(rgb=noise)
            await viewer.send_str("next")
            await viewer.receive_str()
            return await viewer.receive_bytes()

    shown = image.decode_rgb(asyncio.run(look()), "it")
    assert shown.shape == (240, server.LARGEST_SIDE, 3)
    assert np.array_equal(noise, before)


def until(happened: Callable[[], bool]) -> None:
    """Wait for something that does happen."""
    for _ in range(2000):
        if happened():
            return
        time.sleep(0.01)
    pytest.fail("it never happened")


def client_frame(text: bytes) -> bytes:
    """A masked text frame of RFC 6455, with a mask of zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


def greedy(url: str, path: str) -> socket.socket:
    """A viewer that asks for everything and reads nothing."""
    where = urlsplit(url)
    viewer = socket.socket()
    # a small window, so that the server feels at once that nothing is read
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect((where.hostname, where.port))
    head = [f"GET /{path} HTTP/1.1", f"Host: {where.netloc}"]
    if path == "live":
        head += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        head += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    viewer.sendall("\r\n".join([*head, "", ""]).encode())
    if path == "live":
        viewer.sendall(client_frame(b"next") * 5000)
    return viewer


@pytest.mark.parametrize("path", ["live", "stream.mjpg"])
def test_a_viewer_that_never_reads_holds_no_memory_and_nobody_up(serve, monkeypatch, path):
    monkeypatch.setattr(pictures, "FASTEST_HZ", 1e6)
    monkeypatch.setattr(pictures, "LARGEST_SHARE", 1.0)
    loop = serve()
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    grew = []

    async def look() -> None:
        async with (
            asyncio.timeout(60),
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{loop.view.url}live") as other,
        ):
            for turn in range(180):
                number = loop.give(rgb=noise)
                await other.send_str("next")
                told = json.loads(await other.receive_str())
                assert told["result"]["frame"] == number
                assert len(await other.receive_bytes()) > 150_000
                if turn in (79, 179):
                    grew.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        with greedy(loop.view.url, path):
            asyncio.run(look())
    finally:
        tracemalloc.stop()
    # a hundred pictures of 180 kB went by
    assert grew[1] - grew[0] < 1_000_000


@pytest.mark.parametrize("path", ["live", "stream.mjpg"])
def test_a_viewer_that_takes_nothing_is_let_go(serve, monkeypatch, path):
    monkeypatch.setattr(routes, "PATIENCE_S", 0.1)
    monkeypatch.setattr(routes, "QUIET_S", 0.05)
    loop = serve()
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)

    with greedy(loop.view.url, path):
        until(lambda: loop.view._routes._viewers == 1)
        until(lambda: loop.give(rgb=noise) and loop.view._routes._viewers == 0)


def test_the_view_ends_in_less_than_a_second_with_viewers_of_every_kind(serve):
    loop = serve()
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)

    async def look() -> None:
        async with (
            asyncio.timeout(20),
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{loop.view.url}live") as quiet,
            session.ws_connect(f"{loop.view.url}live") as waiting,
        ):
            while loop.view._routes._viewers < 4:
                await asyncio.sleep(0.01)
            for _ in range(20):
                loop.give(rgb=noise)
                await asyncio.sleep(0.02)
            await waiting.send_str("next")
            started = asyncio.get_running_loop().time()
            closing = asyncio.to_thread(loop.view.close)
            farewell, _ = await asyncio.gather(quiet.receive(), closing)
            assert asyncio.get_running_loop().time() - started < 1.0
            assert farewell.type is aiohttp.WSMsgType.CLOSE
            assert farewell.data == aiohttp.WSCloseCode.GOING_AWAY

    with greedy(loop.view.url, "live"), greedy(loop.view.url, "stream.mjpg"):
        asyncio.run(look())
    assert not loop.view._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(loop.view.url).port))
