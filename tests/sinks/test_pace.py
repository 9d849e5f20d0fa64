from __future__ import annotations

from edgenet.stream.sinks.pace import Pace, Streak


def test_a_change_passes_at_once_and_the_same_after_a_time():
    pace = Pace(5.0)
    seen = [("cat", 0), ("cat", 1), ("dog", 2), ("cat", 3), ("cat", 7.9), ("cat", 8), ("cat", 9)]
    assert [pace.due(label, at) for label, at in seen] == [
        True,
        False,
        True,
        True,
        False,
        True,
        False,
    ]


def test_without_a_time_everything_passes():
    pace = Pace(0.0)
    assert all(pace.due("cat", 1.0) for _ in range(3))


def test_a_streak_begins_once_and_ends_when_the_label_is_gone_as_long():
    streak = Streak("cat", 2)
    labels = ["cat", "dog", "cat", "cat", "cat", "dog", "cat", "dog", "dog", "cat", "cat"]
    found = [(streak.begins(label), streak.ended) for label in labels]
    assert [begins for begins, _ in found] == [False] * 3 + [True] + [False] * 6 + [True]
    assert [ended for _, ended in found] == [False] * 8 + [True, False, False]
