"""Keeping the worst layers float: a few layers often make most of the noise."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

from edgenet.drift.sqnr import Sqnr
from edgenet.host.remedy.candidate import Candidate, Material
from edgenet.host.remedy.simulate import activated, sums, walk

MOST = 3
TRIED = 6


def layers(candidate: Candidate, material: Material) -> Candidate:
    """The worst layers float, worst first, each only if that helps on pictures held back."""
    base = candidate
    ranked = noisiest(candidate, material)[:TRIED]
    for done, name in enumerate(ranked):
        material.progress("trying layers in float", done, len(ranked))
        if len(candidate.keep_float) == MOST:
            break
        proposed = kept(candidate, name)
        if material.better(proposed, candidate):
            candidate = proposed
    material.progress("trying layers in float", len(ranked), len(ranked))
    if candidate is base:
        return base
    return candidate.with_remedy("layers", f"float: {', '.join(candidate.keep_float)}")


def kept(candidate: Candidate, name: str) -> Candidate:
    """The candidate with one more layer in float, which has the float network's weights again."""
    network = deepcopy(candidate.network)
    exact = candidate.reference.get_submodule(name).state_dict()
    network.get_submodule(name).load_state_dict(exact)
    return replace(candidate, network=network, keep_float=(*candidate.keep_float, name))


def noisiest(candidate: Candidate, material: Material) -> list[str]:
    """Layers with weights, the lowest signal-to-noise ratio of their own quantization first."""
    ratios = dict(own_noise(candidate, material))
    return sorted(ratios, key=ratios.__getitem__)


def own_noise(candidate: Candidate, material: Material) -> Iterator[tuple[str, float]]:
    """SQNR of each layer in dB: with int8 weights against float ones, on the same input."""
    for done, step in enumerate(walk(candidate, material.batches), start=1):
        material.progress("comparing layers", done, done + 1)
        sqnr = Sqnr()
        for fed, given in zip(step.fed, step.given(), strict=True):
            exact = activated(step.model, sums(step.model, fed))
            sqnr.add(exact.numpy(), activated(step.module, given).numpy())
        if not step.stays_float:
            yield step.layer.name, sqnr.db
