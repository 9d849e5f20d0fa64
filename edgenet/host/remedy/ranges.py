"""Activation ranges that leave the rarest values out, so that the others get finer steps."""

from __future__ import annotations

from dataclasses import replace

from edgenet.host.remedy.candidate import Candidate, Material, observed

METHODS = ("percentile", "mse")


def percentile(candidate: Candidate, material: Material) -> Candidate:
    """Ranges that hold 99.99 % of the values at each end (arXiv 2004.09602, section 4.2)."""
    return _chosen_by("percentile", candidate, material)


def mse(candidate: Candidate, material: Material) -> Candidate:
    """Ranges that lose least: clipping and rounding together, as a mean square."""
    return _chosen_by("mse", candidate, material)


def _chosen_by(method: str, candidate: Candidate, material: Material) -> Candidate:
    ranges = observed(candidate.reference, candidate.spec, material, method)
    narrowed = [
        name for name, (low, high) in ranges.items() if high - low < 0.98 * _width(candidate, name)
    ]
    if not narrowed:
        return candidate
    others = tuple(name for name in candidate.applied if name not in METHODS)
    return replace(candidate, applied=others, ranges=ranges, method=method).with_remedy(
        method, f"{len(narrowed)} of {len(ranges)} ranges are narrower"
    )


def _width(candidate: Candidate, name: str) -> float:
    low, high = candidate.ranges[name]
    return high - low
