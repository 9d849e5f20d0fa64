"""Progress on a terminal and in a log."""

from __future__ import annotations

import io

from edgenet.cli.progress import StageProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_a_stage() -> None:
    stream = io.StringIO()
    with StageProgress(stream) as progress:
        for done in range(4):
            progress("reading", done, 3)
        progress("writing", 0, 1)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("  reading 3  ")
    assert second.startswith("  writing  ")
    assert "\r" not in stream.getvalue()


def test_a_terminal_sees_the_line_move_and_then_end() -> None:
    stream = Terminal()
    with StageProgress(stream) as progress:
        progress("reading", 0, 2)
        progress("reading", 2, 2)
    assert "[------------------------] 0/2" in stream.getvalue()
    assert "[########################] 2/2" in stream.getvalue()
    assert stream.getvalue().endswith(" s\n")


def test_work_of_unknown_length_has_a_count_and_no_bar() -> None:
    stream = Terminal()
    with StageProgress(stream) as progress:
        progress("downloading cifar.tar.gz (MB)", 170, 0)
    assert "  downloading cifar.tar.gz (MB)  170\r" in stream.getvalue()
    assert "downloading cifar.tar.gz (MB) 170  " in stream.getvalue()


def test_a_bar_is_never_longer_than_full() -> None:
    stream = Terminal()
    with StageProgress(stream) as progress:
        progress("reading", 50, 2)
    assert f"[{'#' * 24}] 50/2" in stream.getvalue()


def test_a_message_does_not_break_the_moving_line() -> None:
    stream = Terminal()
    with StageProgress(stream) as progress:
        progress("training", 1, 2)
        progress.say("epoch 1")
    assert "\r\x1b[K  epoch 1\n" in stream.getvalue()


def test_an_error_is_not_reported_as_a_finished_stage() -> None:
    stream = io.StringIO()
    error = ValueError()
    progress = StageProgress(stream)
    progress("reading", 1, 2)
    progress.__exit__(ValueError, error, None)
    assert stream.getvalue() == ""
