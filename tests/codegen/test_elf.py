"""What is read from a linked program."""

from __future__ import annotations

import subprocess

import pytest

from edgenet.codegen import elf


@pytest.mark.tool("arm-none-eabi-gcc")
def test_functions_that_share_a_name_are_all_there_and_a_program_made_again_is_read_again(tmp_path):
    def link(*files: str) -> list[str]:
        for name in files:
            (tmp_path / f"{name}.c").write_text(
                "__attribute__((noinline)) static int twice(int a) { return a + a; }\n"
                f"int {name}(int a) {{ return twice(a) + 1; }}\n"
            )
        sources = [str(tmp_path / f"{name}.c") for name in files]
        options = ["-mcpu=cortex-m4", "-O1", "-nostdlib", "-Wl,-e,one"]
        command = ["arm-none-eabi-gcc", *options, *sources, "-o", str(tmp_path / "linked.elf")]
        subprocess.run(command, check=True)
        found = elf.symbols(tmp_path / "linked.elf")
        return sorted(name for name, symbol in found if symbol.code and symbol.size)

    assert link("one") == ["one", "twice"]
    assert link("one", "two") == ["one", "twice", "twice", "two"]
