"""Whole networks in the DSP flavour, under the sanitizers and between guard pages, on ARMv7-A."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import chains
import pytest
from networks import everything
from poisoned import Poisoned
from toolchains import WATCHED

from edgenet.codegen import emit
from edgenet.codegen.program import program

pytest.importorskip("flatbuffers")

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = {
    "tiny": (GOLDEN / "tiny" / "models" / "int8.tflite").read_bytes,
    "dead_channels": (GOLDEN / "dead_channels.tflite").read_bytes,
    "everything": everything,
}
DSP = pytest.mark.parametrize("watched", [one for one in WATCHED if "dsp" in one.id])


def poisoned(made, folder, toolchain):
    emit.write(made, folder)
    return Poisoned(made, folder, toolchain)


@DSP
@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_exact_and_touches_nothing_outside_its_plan(name, watched, tmp_path):
    done = poisoned(program(MODELS[name](), "net"), tmp_path, watched).run()
    assert done.returncode == 0, done.stderr[:2000]


@DSP
@pytest.mark.parametrize("seed", range(3))
def test_chains_are_exact_and_touch_nothing_outside_their_plan(seed, watched, tmp_path):
    for data in (chains.separable(seed), chains.chain(seed)):
        *_, made = chains.budgets(data, 3)
        done = poisoned(made, tmp_path, watched).run()
        assert done.returncode == 0, done.stderr[:2000]


@DSP
def test_each_region_that_the_plan_gives_is_asked_for(watched, tmp_path):
    """What the tests above prove can fail: it does without a region that no other one covers."""
    *_, made = chains.budgets(chains.separable(3), 2)
    running = poisoned(made, tmp_path, watched)
    tried = 0
    for number, step in enumerate(made.plan.steps):
        for gone in step.regions:
            others = [one for one in step.regions if one is not gone]
            if any(one.address < gone.end and gone.address < one.end for one in others):
                continue
            steps = list(made.plan.steps)
            steps[number] = dataclasses.replace(step, regions=tuple(others))
            assert running.run(dataclasses.replace(made.plan, steps=tuple(steps))).returncode != 0
            tried += 1
    assert tried > 4
