from __future__ import annotations

import json
import os
import sys

import pytest

from edgenet.errors import UsageError
from edgenet.stream.sinks import action
from edgenet.stream.sinks.action import Action, open_action
from edgenet.stream.sinks.secret import without_secrets

LABELS = ("ant", "bee", "cat")
RECORD = """
import json, os, sys
seen = {name: os.environ[name] for name in os.environ if name.startswith("EDGENET_")}
with open(sys.argv[1], "a") as file:
    print(json.dumps([seen, sys.argv[2:]]), file=file)
"""


@pytest.fixture
def record(tmp_path):
    """A command that writes down how it was started; the file it writes to."""
    script, found = tmp_path / "record.py", tmp_path / "found"
    script.write_text(RECORD)
    return [sys.executable, str(script), str(found)], found


def see(sink, make, frame, *labels):
    for index, label in enumerate(labels):
        sink.publish(make(label, frame=index), frame)


def starts(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_command_starts_once_when_the_label_was_seen_often_enough(
    record, make, frame, said, until
):
    argv, found = record
    sink = Action("cat", 3, argv, say=said, interval_s=0)
    see(sink, make, frame, "cat", "cat", "bee", "cat", "cat", "cat", "cat", "cat")
    until(found.exists)
    sink._thread.join()
    ((seen, _),) = starts(found)
    assert seen["EDGENET_LABEL"] == "cat"
    assert seen["EDGENET_FRAME"] == "5"
    assert float(seen["EDGENET_PROBABILITY"]) == 0.875
    assert float(seen["EDGENET_TIME"]) == 1700000000.25
    sink.close()


def test_each_streak_starts_it_again_but_not_sooner_than_the_interval(
    record, make, frame, said, monkeypatch
):
    class Clock:
        now = 0.0

    monkeypatch.setattr(action.time, "monotonic", lambda: Clock.now)
    argv, found = record
    sink = Action("cat", 1, argv, say=said, interval_s=10)
    for Clock.now in (0.0, 5.0, 11.0, 12.0, 22.0):
        see(sink, make, frame, "bee", "cat")
        sink._thread.join()
    assert len(starts(found)) == 3
    sink.close()


def test_what_is_seen_is_never_a_shells(make, frame, said, tmp_path, record, monkeypatch):
    """Neither the label nor the words of the command are interpreted."""
    monkeypatch.chdir(tmp_path)
    argv, found = record
    label = "cat; touch pwned $(touch pwned) `touch pwned`"
    words = " ".join([*argv, "'$(touch pwned)'", "';'", "'a b'"])
    sink = open_action(f"{label}:1={words}", (label,), say=said)
    sink.publish(make(label), frame)
    sink._thread.join()
    ((seen, rest),) = starts(found)
    assert seen["EDGENET_LABEL"] == label
    assert rest == ["$(touch pwned)", ";", "a b"]
    assert not (tmp_path / "pwned").exists()
    sink.close()


def test_a_command_that_still_runs_is_not_started_again(make, frame, said, tmp_path):
    wait = tmp_path / "go"
    os.mkfifo(wait)
    sink = Action("cat", 1, ["cat", str(wait)], say=said, interval_s=0)
    see(sink, make, frame, "cat")
    first = sink._thread
    see(sink, make, frame, "bee", "cat", "bee", "cat")
    assert sink._thread is first
    wait.write_text("")
    first.join()
    see(sink, make, frame, "bee", "cat")
    assert sink._thread is not first
    wait.write_text("")
    sink.close()


def test_a_command_that_never_ends_is_asked_to(make, frame, said, until):
    sink = Action("cat", 1, ["sleep", "600"], say=said)
    see(sink, make, frame, "cat")
    process = until(lambda: sink._process)
    sink.close()
    assert process.wait(20) == -15
    sink._thread.join()
    assert said == []


def test_a_command_that_fails_is_said(make, frame, said):
    sink = Action("cat", 1, ["false"], say=said)
    see(sink, make, frame, "cat")
    sink._thread.join()
    assert said == ["false ended with 1"]
    sink.close()


def test_a_command_that_a_signal_ends_is_said(make, frame, said):
    sink = Action("cat", 1, ["sh", "-c", "kill -SEGV $$"], say=said)
    see(sink, make, frame, "cat")
    sink._thread.join()
    assert said == ["sh was ended by SIGSEGV"]
    sink.close()


def test_a_command_is_told_no_secret(make, frame, said, record, monkeypatch):
    argv, found = record
    withheld = ("MQTT_PASSWORD", "WEBHOOK_TOKEN_FILE", "VIEW_TOKEN", "SOURCE")
    for name in withheld:
        monkeypatch.setenv(f"EDGENET_{name}", "hunter2")
    monkeypatch.setenv("EDGENET_OTHER", "kept")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    assert "NOTIFY_SOCKET" not in without_secrets()
    sink = Action("cat", 1, argv, say=said)
    see(sink, make, frame, "cat")
    sink._thread.join()
    ((seen, _),) = starts(found)
    assert not {f"EDGENET_{name}" for name in withheld} & set(seen)
    assert seen["EDGENET_OTHER"] == "kept"
    sink.close()


def test_a_command_that_is_gone_by_then_is_said(make, frame, said, tmp_path):
    sink = Action("cat", 1, [str(tmp_path / "gone")], say=said)
    see(sink, make, frame, "cat")
    sink._thread.join()
    assert said == [f"{tmp_path / 'gone'} cannot be started: No such file or directory"]
    sink.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat=true", r"'cat=true' is no action; write LABEL:FRAMES=COMMAND"),
        ("cat:0=true", "is no action"),
        ("cat:3=", "is no action"),
        ("cta:3=true", r"no label 'cta'; did you mean 'cat'\? \(ant, bee, cat\)"),
        ("cat:3=no-such-command now", "there is no command 'no-such-command'"),
        ("cat:3='unclosed", "cannot be split into words"),
        ("cat:3=''", "there is no command ''"),
    ],
)
def test_wrong_words_get_one_sentence(text, message, said):
    with pytest.raises(UsageError, match=message):
        open_action(text, LABELS, say=said)


def test_labels_may_hold_colons_and_commands_equals_signs(said):
    found = open_action("a:b=1:3=true x=1:2=3", ("a:b=1",), say=said)
    assert found.argv == ("true", "x=1:2=3")
