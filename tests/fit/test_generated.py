"""What untrained networks take on microcontrollers is what real programs take, to the byte."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import edgenet
from edgenet.board import load
from edgenet.cost import Configuration
from edgenet.errors import GraphError, LimitExceeded
from edgenet.fit import cache, linked, recorded
from edgenet.fit.cache import Cache
from edgenet.fit.constants import bytes_of, shortened
from edgenet.fit.footprint import Footprint
from edgenet.fit.generated import Generator, generate
from edgenet.fit.point import Point

pytest.importorskip("flatbuffers")
SMALL = Point("mobilenet_v1", 0.25, 32, 2)


def test_the_program_multiplies_as_often_as_the_network():
    for arch in ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small_minimalistic"):
        made = generate(Point(arch, 0.35, 64, 10))
        assert made.macs == Configuration(arch, 0.35, 64, 64, 10).cost().multiply_adds


def test_a_network_without_kernels_is_refused():
    with pytest.raises(GraphError, match="not supported"):
        generate(Point("mobilenet_v3_small", 1.0, 32, 10))


@pytest.mark.slow
def test_a_budget_of_ram_is_kept_or_refused():
    whole = generate(SMALL).plan.size
    assert generate(SMALL, sram_budget=whole - 1000).plan.size <= whole - 1000
    with pytest.raises(LimitExceeded):
        generate(SMALL, sram_budget=100)


def test_a_shortened_program_has_one_element_of_each_constant():
    made = generate(SMALL)
    short = shortened(made)
    assert bytes_of(made, "cortex-m4") > 100_000
    assert bytes_of(short, "cortex-m4") < 2000
    assert (short.plan, short.kernels, short.macs) == (made.plan, made.kernels, made.macs)


def test_code_is_estimated_from_what_was_recorded(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = Generator(load("stm32f746")).footprint(SMALL)
    made = generate(SMALL)
    assert not found.exact
    assert found.ram == made.plan.size
    assert found.constants == bytes_of(made, "cortex-m7")
    assert 8_000 < found.flash - found.constants < 20_000


def test_a_core_that_was_not_recorded_has_no_flash():
    assert recorded.code(generate(SMALL), "xtensa-lx7") is None
    assert Generator(load("esp32s3")).footprint(SMALL).flash is None


@pytest.mark.slow
@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.parametrize("board", ["pico", "stm32f746", "mps3-an547"])
def test_flash_and_ram_are_those_of_the_whole_program_linked(board, tmp_path):
    generator = Generator(load(board))
    for point in (
        SMALL,
        Point("mobilenet_v1", 0.25, 96, 10),
        Point("mobilenet_v2", 0.35, 96, 10),
        Point("mobilenet_v3_small_minimalistic", 0.5, 96, 10),
    ):
        found = generator.footprint(point)
        whole = linked.build(generate(point), load(board), tmp_path / point.name)
        assert found.exact
        assert (found.flash, found.ram) == (whole.flash, whole.ram)


@pytest.mark.slow
@pytest.mark.tool("arm-none-eabi-gcc")
def test_recorded_sizes_are_those_of_this_generator():
    board, point = load("nano33ble"), Point("mobilenet_v2", 0.35, 64, 10)
    linked_bytes = Generator(board).footprint(point).flash
    code = recorded.code(generate(point), board.core)
    assert code is not None, "run scripts/record_kernel_sizes"
    constants = bytes_of(generate(point), board.core)
    assert constants + code == pytest.approx(linked_bytes, rel=0.01), "run it again"


def test_what_was_found_is_kept_until_the_generator_changes(tmp_path):
    found = Footprint(flash=1, ram=2, macs=3, exact=True, constants=4)
    Cache("gcc 1", tmp_path).put(SMALL, "cortex-m4", None, found)
    assert Cache("gcc 1", tmp_path).get(SMALL, "cortex-m4", None) == found
    assert Cache("gcc 1", tmp_path).get(SMALL, "cortex-m7", None) is None
    assert Cache("gcc 1", tmp_path).get(SMALL, "cortex-m4", 100) is None
    assert Cache("gcc 2", tmp_path).get(SMALL, "cortex-m4", None) is None
    # which may be installed beside it
    assert Cache("gcc 1", tmp_path).get(SMALL, "cortex-m4", None) == found


def test_what_no_installation_used_for_long_is_gone(tmp_path):
    found = Footprint(flash=1, ram=2, macs=3, exact=True, constants=4)
    Cache("gcc 1", tmp_path).put(SMALL, "cortex-m4", None, found)
    (folder,) = tmp_path.iterdir()
    os.utime(folder, (0, 0))
    Cache("gcc 1", tmp_path)  # its use
    Cache("gcc 2", tmp_path)
    assert folder.exists()
    os.utime(folder, (0, 0))
    Cache("gcc 2", tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ("cost.py", False),
        ("fit/linked.py", False),
        ("codegen/c/new.c", False),
        ("fit/measured.json", True),
        ("fit/table.py", True),
    ],
)
def test_footprints_are_kept_until_what_makes_them_changes(changed, kept, tmp_path, monkeypatch):
    package = Path(edgenet.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "host", "view", "targets")
    copy = shutil.copytree(package, tmp_path / "edgenet", ignore=ignored)
    monkeypatch.setattr(cache.resources, "files", lambda name: copy)
    before = cache.fingerprint("gcc 1")
    with (copy / changed).open("ab") as file:
        file.write(b"\n")
    assert (cache.fingerprint("gcc 1") == before) == kept
