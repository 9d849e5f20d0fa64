"""What a training gave, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgenet.host.learner import Score
    from edgenet.host.train import Outcome


def as_json(outcome: Outcome, command: str) -> str:
    """The checkpoint's record and what it took."""
    import msgspec

    content = {
        "command": command,
        **msgspec.to_builtins(outcome.checkpoint),
        "epochs": outcome.epochs,
        "seconds": round(outcome.seconds, 1),
        "device": outcome.device,
    }
    return json.dumps(content, indent=2)


def summary(output: Path, data: str, outcome: Outcome) -> str:
    """Accuracy, time and what to type next."""
    spec, size = outcome.checkpoint.spec, outcome.checkpoint.spec.preprocess
    about, follow_up = outcome.checkpoint.data, f" --data {data}"
    figures = _figures("top-1", outcome.score)
    if outcome.int8:
        assert outcome.checkpoint.calibration is not None
        about, follow_up = outcome.checkpoint.calibration.training["data"], ""
        figures = (
            f"{_figures('float top-1', outcome.score)},\n  {_figures('int8 top-1', outcome.int8)}"
        )
    return "\n".join(
        (
            f"{output}  {spec.arch} {spec.alpha:g}, {size.height}x{size.width}, "
            f"{len(spec.labels)} classes",
            f"  {figures}, on the {outcome.score.images} pictures of {about['evaluated_on']}",
            f"  {outcome.epochs} epochs in {outcome.seconds:.0f} s on {outcome.device}, "
            f"weights of the {about['kept']} epoch",
            "Next:",
            f"  edgenet export --target pc --model {output}{follow_up}",
        )
    )


def _figures(name: str, found: Score) -> str:
    from edgenet.drift.significance import wilson

    low, high = wilson(round(found.top1 * found.images), found.images)
    top5 = "" if found.top5 is None else f", top-5 {found.top5:.2%}"
    return f"{name} {found.top1:.2%} ({low:.2%} to {high:.2%} at 95 %){top5}"
