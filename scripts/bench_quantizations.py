"""The measurements of scripts/bench_quantizations, whose header says what they are."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from edgenet.bundle import Bundle
from edgenet.drift.record import DriftReport, Result
from edgenet.environment import Probe
from edgenet.spec import Variant
from edgenet.stream.classify import Classifier

TURNS = 60
AGREEMENT = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_quantizations", description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("drift", type=Path, metavar="DRIFT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="last; write the result")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    report = msgspec.json.decode(options.drift.read_bytes(), type=DriftReport)
    if report.bundle_sha256 != bundle.sha256:
        sys.exit(f"{options.drift} is of another bundle than {options.bundle}")
    machine, load = Probe().machine(), os.getloadavg()[0]
    medians = latencies(bundle)
    busy = f" (busy machine, load {load:.0f})" if load > 1 else ""
    results = [row(bundle, report, found, medians, busy) for found in report.results]
    print(f"{bundle.manifest.name}, {report.images:,} pictures of {report.dataset}; {machine.cpu}")
    for one in results:
        print(f"  {one['what']}: {one['measured']}")
    if options.json:
        record = {
            "command": "scripts/bench_quantizations BUNDLE DRIFT",
            "machine": msgspec.to_builtins(machine),
            "load": load,
            "results": results,
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(one["ok"] for one in results) else 1


def latencies(bundle: Bundle) -> dict[Variant, float]:
    """The median CPU time of bare runs, one thread, in ms; they take turns.

    Others on the machine lengthen it less than they lengthen the time on the clock.
    """
    classifiers = {variant: Classifier.open(bundle, variant) for variant in bundle.variants}
    pictures = bundle.golden().frames
    times: dict[Variant, list[float]] = {variant: [] for variant in classifiers}
    for turn in range(TURNS + 5):
        for variant, classifier in classifiers.items():
            prepared = classifier.prepare(pictures[turn % len(pictures)])
            start = time.process_time()
            classifier.session.run([prepared])
            times[variant].append((time.process_time() - start) * 1e3)
    return {variant: statistics.median(found[5:]) for variant, found in times.items()}


def row(
    bundle: Bundle, report: DriftReport, found: Result, medians: dict[Variant, float], busy: str
) -> dict[str, Any]:
    """One variant, as docs/bench holds it."""
    size = bundle.record(found.variant).size
    measured = f"{size / 1e6:.2f} MB, top-1 {found.top1.value:.2%}"
    agreement = 1.0
    if found.drift is not None:
        change, agreement = found.drift.top1, found.drift.agreement.value
        points = [100 * share for share in (change.value, change.low, change.high)]
        measured += (
            f" ({points[0]:+.2f} points, {points[1]:+.2f} to {points[2]:+.2f}),"
            f" agreement {agreement:.2%}"
        )
    return {
        "what": f"{found.variant} of {bundle.manifest.name}, {report.images:,} pictures of "
        f"{report.dataset}",
        "measured": f"{measured}, {medians[found.variant]:.2f} ms of CPU{busy}",
        "demanded": f"agreement {AGREEMENT:.0%}" if found.drift is not None else "the reference",
        "size": size,
        "top1": found.top1.value,
        "agreement": agreement,
        "median_ms": medians[found.variant],
        "ok": agreement >= AGREEMENT,
    }


if __name__ == "__main__":
    sys.exit(main())
