"""Runs a written program; all of the arena is poisoned but what the plan gives a layer."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edgenet.codegen.plan import Plan
from edgenet.codegen.program import Program

FLAGS = ("-std=c99", "-O1", "-fsanitize=address")
WRONG = 9
"""What the program ends with where a value is wrong; the sanitizer ends it with something else."""

MAIN = """
#include "net_golden.h"

#include "net_en_crc32.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>

static int8_t arena[NET_ARENA_BYTES] __attribute__((aligned(16)));
static uint32_t regions[NET_LAYERS][64][2];
static uint32_t counts[NET_LAYERS];
static int wrong;

/* Only what a layer may touch. */
static void only(uint32_t layer)
{
    __asan_poison_memory_region(arena, sizeof arena);
    for (uint32_t i = 0; i < counts[layer]; i++) {
        __asan_unpoison_memory_region(&arena[regions[layer][i][0]], regions[layer][i][1]);
    }
}

static void check(void *context, uint32_t layer, const int8_t *output, uint32_t size)
{
    const uint32_t *crcs = (const uint32_t *)context;
    wrong |= net_en_crc32(0, output, (int32_t)size) != crcs[layer];
    if (layer + 1 < NET_LAYERS) {
        only(layer + 1);
    }
}

int main(void)
{
    for (uint32_t layer = 0; layer < NET_LAYERS; layer++) {
        if (scanf("%u", &counts[layer]) != 1 || counts[layer] > 64) {
            return 3;
        }
        for (uint32_t i = 0; i < counts[layer]; i++) {
            if (scanf("%u %u", &regions[layer][i][0], &regions[layer][i][1]) != 2) {
                return 3;
            }
        }
    }
    for (int32_t picture = 0; picture < NET_GOLDEN_PICTURES; picture++) {
        __asan_unpoison_memory_region(arena, sizeof arena);
        net_golden_set(arena, picture);
        only(0);
        (void)net_run_hooked(arena, check, (void *)(uintptr_t)net_golden_crc[picture]);
        wrong |= net_golden_differs(arena, picture);
    }
    return wrong ? WRONG : 0;
}
"""


class Poisoned:
    """A program called ``net``, built with the sanitizers.

    Args:
        made: the program.
        folder: where it was written; what is built goes there, too.
    """

    def __init__(self, made: Program, folder: Path) -> None:
        self._plan = made.plan
        self._program = folder / "poisoned"
        (folder / "poisoned.c").write_text(MAIN)
        sources = [p for p in sorted((folder / "src").glob("*.c")) if "selftest" not in p.name]
        command = ["cc", *FLAGS, f"-DWRONG={WRONG}", f"-I{folder / 'src'}", *sources]
        subprocess.run([*command, folder / "poisoned.c", "-o", self._program], check=True)

    def run(self, told: Plan | None = None) -> subprocess.CompletedProcess:
        """Replay the golden pictures.

        Args:
            told: the plan that is enforced, if it is not the program's.
        """
        lines = [
            " ".join(f"{one.address} {one.size}" for one in step.regions)
            for step in (told or self._plan).steps
        ]
        counts = [len(step.regions) for step in (told or self._plan).steps]
        given = "\n".join(f"{count} {line}" for count, line in zip(counts, lines, strict=True))
        return subprocess.run(
            [self._program], input=given, capture_output=True, text=True, check=False
        )
