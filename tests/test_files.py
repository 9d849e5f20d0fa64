from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgenet.cli.output import save
from edgenet.errors import RecordError
from edgenet.files import replacing, write_atomic


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    write_atomic(file, b"old")
    write_atomic(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_what_breaks_off_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def breaks_off() -> None:
        with replacing(file) as draft:
            draft.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaks_off()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_report_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "folder"
    taken.mkdir()
    (taken / "inside").touch()
    with pytest.raises(RecordError, match="folder cannot be written"):
        save(taken, "text")
    assert list(tmp_path.iterdir()) == [taken]
