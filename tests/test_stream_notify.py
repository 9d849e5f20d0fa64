from __future__ import annotations

import os
import socket
import uuid

import numpy as np
import pytest

from edgenet.runner import Frame
from edgenet.stream import notify
from edgenet.stream.notify import Notifier
from edgenet.stream.result import Guess, Result

FRAME = Frame(0, 0.0, np.zeros((1, 1, 3), np.uint8))
RESULT = Result(7, "", (Guess(0, "cat", 0.93),), "cat", {"invoke": 1.0}, 41.6, 2, 0.0)


@pytest.fixture(params=["path", "abstract"])
def service(request, tmp_path):
    """What systemd has: a socket, and its name for the environment."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.setblocking(False)
    if request.param == "path":
        name = str(tmp_path / "notify")
        listening.bind(name)
    else:
        name = f"@edgenet-test-{uuid.uuid4().hex}"
        listening.bind("\0" + name[1:])
    with listening:
        yield listening, name


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(notify.time, "monotonic", lambda: Clock.now)
    return Clock


def heard(listening):
    words = []
    while True:
        try:
            words += listening.recv(4096).decode().split("\n")
        except BlockingIOError:
            return words


def test_ready_follows_the_first_result_and_comes_once(service, clock):
    listening, name = service
    notifier = Notifier({"NOTIFY_SOCKET": name})
    assert heard(listening) == []
    notifier.publish(RESULT, FRAME)
    assert heard(listening) == [
        "READY=1",
        "STATUS=frame 7: cat 93%, 42 ms after capture, 2 dropped",
    ]
    notifier.publish(RESULT, FRAME)
    assert heard(listening) == []
    notifier.close()
    assert heard(listening) == ["STOPPING=1"]


def test_the_watchdog_is_fed_by_results_alone_and_four_times_in_its_time(service, clock):
    listening, name = service
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "8000000"}
    notifier = Notifier(environment)
    for _ in range(100):
        clock.now += 0.1
        notifier.publish(RESULT, FRAME)
    assert heard(listening).count("WATCHDOG=1") == 5
    clock.now += 60
    assert heard(listening) == []
    notifier.publish(RESULT, FRAME)
    assert "WATCHDOG=1" in heard(listening)
    notifier.close()


@pytest.mark.parametrize(
    ("pid", "pings"), [(str(os.getpid()), 1), ("1", 0)], ids=["ours", "another's"]
)
def test_the_watchdog_of_another_process_is_left_alone(service, pid, pings):
    listening, name = service
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": pid}
    notifier = Notifier(environment)
    notifier.publish(RESULT, FRAME)
    assert heard(listening).count("WATCHDOG=1") == pings
    notifier.close()


def test_an_unknown_frame_has_a_status_of_one_line(service):
    listening, name = service
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.publish(Result(0, "", (), "unknown\nREADY=0", {}, None, 0, 0.0), FRAME)
    assert heard(listening) == ["READY=1", "STATUS=frame 0: unknown READY=0, 0 dropped"]
    notifier.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_outside_of_a_service_nothing_happens(environment):
    notifier = Notifier(environment)
    notifier.publish(RESULT, FRAME)
    notifier.close()


def test_a_service_manager_that_has_gone_disturbs_nothing(service):
    listening, name = service
    notifier = Notifier({"NOTIFY_SOCKET": name})
    listening.close()
    notifier.publish(RESULT, FRAME)
    notifier.close()
