"""Runs a written program; all of the arena is poisoned but what the plan gives a layer.

Twice: for the address sanitizer, and by a canary in every byte, for what it does not see.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from toolchains import HOST, Toolchain

from edgenet.codegen.plan import Plan
from edgenet.codegen.program import Program

WRONG = 9
"""What the program ends with where a value is wrong, or a byte outside a layer's plan has changed;
the sanitizer ends it with something else."""

MAIN = """
#include "net_golden.h"

#include "net_en_crc32.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(at, size)
#define __asan_unpoison_memory_region(at, size)
#endif

#define CANARY 0x6d /* in what no layer may touch, of which assembly is to know no more than C */

#define BYTES ((NET_ARENA_BYTES + 15U) / 16U * 16U) /* so that the end is aligned as the start is */

static int8_t *arena;
static char mine[BYTES]; /* which bytes the layer that runs may touch */
static uint32_t regions[NET_LAYERS][64][2];
static uint32_t counts[NET_LAYERS];
static int wrong;

/* Only what a layer may touch. */
static void only(uint32_t layer)
{
    __asan_unpoison_memory_region(arena, BYTES);
    memset(mine, 0, sizeof mine);
    for (uint32_t i = 0; i < counts[layer]; i++) {
        memset(&mine[regions[layer][i][0]], 1, regions[layer][i][1]);
    }
    for (uint32_t at = 0; at < BYTES; at++) {
        arena[at] = mine[at] ? arena[at] : CANARY;
    }
    __asan_poison_memory_region(arena, BYTES);
    for (uint32_t i = 0; i < counts[layer]; i++) {
        __asan_unpoison_memory_region(&arena[regions[layer][i][0]], regions[layer][i][1]);
    }
}

static void check(void *context, uint32_t layer, const int8_t *output, uint32_t size)
{
    const uint32_t *crcs = (const uint32_t *)context;
    wrong |= net_en_crc32(0, output, (int32_t)size) != crcs[layer];
    __asan_unpoison_memory_region(arena, BYTES);
    for (uint32_t at = 0; at < BYTES; at++) {
        wrong |= !mine[at] && (arena[at] != CANARY);
    }
    if (layer + 1 < NET_LAYERS) {
        only(layer + 1);
    }
}

int main(void)
{
    arena = (int8_t *)malloc(BYTES);
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
        net_golden_set(arena, picture);
        only(0);
        (void)net_run_hooked(arena, check, (void *)(uintptr_t)net_golden_crc[picture]);
        wrong |= net_golden_differs(arena, picture);
    }
    free(arena);
    return wrong ? WRONG : 0;
}
"""


class Poisoned:
    """A program called ``net``, built with the sanitizers or between guard pages.

    Args:
        made: the program.
        folder: where it was written; what is built goes there, too.
        toolchain: that builds and runs it.
    """

    def __init__(self, made: Program, folder: Path, toolchain: Toolchain = HOST) -> None:
        self._plan = made.plan
        self._program = folder / "poisoned"
        self._toolchain = toolchain
        (folder / "poisoned.c").write_text(MAIN)
        sources = [p for p in sorted((folder / "src").glob("*.c")) if "selftest" not in p.name]
        arguments = [
            "-std=c99",
            f"-DWRONG={WRONG}",
            f"-I{folder / 'src'}",
            *sources,
            folder / "poisoned.c",
        ]
        toolchain.build(arguments, self._program)

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
            self._toolchain.command(self._program), input=given, env=self._toolchain.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
