"""Boards: those that ship are whole, and what is wrong with a file is said in a sentence."""

from __future__ import annotations

import pytest

from edgenet import board
from edgenet.errors import TargetError, UsageError

OWN = """
name = "own"
title = "Mine"
core = "cortex-m4"
ram_bytes = 65_536
counted_on = "mps2-an386"

[source]
ram_bytes = "https://example.org/own.pdf"
"""


@pytest.fixture
def own(tmp_path):
    def write(old="", new="", name="own.toml"):
        assert old in OWN
        path = tmp_path / name
        path.write_text(OWN.replace(old, new) if old else OWN)
        return str(path)

    return write


def test_every_microcontroller_is_counted_on_a_core_that_executes_its_code():
    same = {"cortex-m0plus": "cortex-m3"}  # which executes all of Armv6-M
    for one in board.boards():
        if one.counted_on:
            machine = board.load(one.counted_on)
            assert machine.emulation is not None
            assert machine.core == same.get(one.core, one.core)


def test_real_boards_state_every_figure():
    real = [one for one in board.boards() if one.emulation is None and one.name != "host"]
    assert {"stm32f746", "nano33ble", "pico", "pico2", "esp32s3"} <= {one.name for one in real}
    for one in real:
        if one.core.startswith(("cortex-m", "xtensa")):
            assert {"clock_hz", "flash_bytes", "ram_bytes"} <= set(one.source)


def test_emulated_boards_have_room_where_they_say():
    for one in board.boards(emulated=True):
        assert one.emulation is not None
        assert one.emulation.machine == one.name
        assert (one.emulation.flash.size, one.emulation.ram.size) == (
            one.flash_bytes,
            one.ram_bytes,
        )


def test_a_file_of_ones_own_will_do(own):
    mine = board.load(own())
    assert (mine.name, mine.arena_bytes) == ("own", 65_536)
    assert board.emulated(mine).machine == "mps2-an386"


def test_an_array_has_room_in_one_piece_alone():
    assert board.load("stm32h743").arena_bytes == 512 * 1024


def test_an_unknown_board_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=r"no board 'stm32f74'; did you mean 'stm32f746'.*pico2"):
        board.load("stm32f74")
    with pytest.raises(UsageError, match=r"nothing at 'ours\.toml'; a board's file is like"):
        board.load("ours.toml")


def test_a_board_that_qemu_does_not_have_is_refused():
    with pytest.raises(UsageError, match=r"no machine for esp32s3 \(xtensa-lx7\); choose one of"):
        board.emulated(board.load("esp32s3"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Mine"', 'tilte = "Mine"', "unknown field `tilte`"),
        ('core = "cortex-m4"', "", "missing required field `core`"),
        ("65_536", '"64 KB"', r"Expected `int \| null`, got `str`.*ram_bytes"),
        ("65_536", "0", "ram_bytes is 0; it must be above 0"),
        ("https://example.org/own.pdf", "a datasheet", "ram_bytes needs the https:// address"),
        ("ram_bytes = 65_536\n", "", "source names ram_bytes, of which the file has no figure"),
        ('name = "own"', 'name = "other"', "name is 'other'; it must be the file's"),
        ('name = "own"', "name = ", "own.toml: "),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(own, old, new, words):
    with pytest.raises(TargetError, match=rf"(?i)own\.toml: .*{words}|{words}"):
        board.load(own(old, new))
