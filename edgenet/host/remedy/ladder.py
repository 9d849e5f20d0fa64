"""Remedies in order, each measured, until int8 is close enough to the float network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from edgenet.dataset import Progress, silent
from edgenet.environment import Probe
from edgenet.host import checkpoint as checkpoints
from edgenet.host.calibration import Choice, agree, shown, sparing
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.remedy.bias import bias
from edgenet.host.remedy.candidate import Candidate, Material, Remedy, Training, plain
from edgenet.host.remedy.equalize import equalize
from edgenet.host.remedy.judge import Judge
from edgenet.host.remedy.layers import layers
from edgenet.host.remedy.options import options
from edgenet.host.remedy.ranges import mse, percentile
from edgenet.host.remedy.rounding import rounding
from edgenet.host.remedy.tuned import tuned
from edgenet.host.remedy.wish import Wish
from edgenet.report.remedy import MAX_DRIFT, RemedyReport, Step, least_drift

STEPS: Mapping[str, Remedy] = {
    "percentile": percentile,
    "mse": mse,
    "equalize": equalize,
    "bias": bias,
    "rounding": rounding,
    "layers": layers,
    "qat": tuned,
}
OF_WEIGHTS = {"equalize", "bias", "rounding", "qat"}


def record(
    model: Path, destination: Path, choice: Choice, wish: Wish, *, progress: Progress = silent
) -> RemedyReport:
    """Write the checkpoint ``model`` with its calibration and remedies to ``destination``.

    int8 starts from the float network, whatever the checkpoint has for int8 already. It is written
    even where it loses more than it may: it is still the best that was found.

    Raises:
        CheckpointError: the checkpoint cannot be read or written.
        DataError: the data set cannot be used for it, or no picture is left to measure on.
        ExportError: a model cannot be converted.
    """
    checkpoint, network = checkpoints.load_network(model)
    agree(checkpoint, choice.dataset)
    asked_for = choice.samples
    choice = sparing(choice, progress=progress)
    batches, used = shown(checkpoint, choice, progress=progress)
    pictures = list(batches)
    spec = checkpoint.spec
    judge = Judge(network, spec, choice, used, pictures=wish.pictures, progress=progress)
    training = Training(model, checkpoint, used, wish.data, wish.qat_epochs)
    material = Material(pictures, judge.better, training, choice.seed, wish.iterations, progress)
    first = plain(network, spec, material, choice.method)
    best, steps = climb(first, wish, material, judge)
    found = best.recorded(used)
    write(best, model, destination, msgspec.structs.replace(checkpoint, calibration=found))
    limit = demanded(wish, len(judge.targets))
    passed = keeps(steps, limit)
    return RemedyReport(
        calibration=found.record,
        held_back=len(judge.targets),
        seed=choice.seed,
        steps=tuple(steps),
        remedies=found.remedies,
        keep_float=found.keep_float,
        max_drift=limit,
        passed=passed,
        options=tuple(options(judge, first, steps)) if passed is False else (),
        machine=Probe().machine().cpu or "an unknown CPU",
        asked_for=asked_for,
    )


def climb(
    candidate: Candidate, wish: Wish, material: Material, judge: Judge
) -> tuple[Candidate, list[Step]]:
    """Try the remedies of a wish one after the other, each on top of those that were kept.

    Returns:
        The best candidate, and what was tried.
    """
    limit = demanded(wish, len(judge.targets))
    steps = [Step("plain", "", judge.score(judge.of(candidate)), None, kept=True)]
    for name in wish.ladder:
        if wish.auto and keeps(steps, limit):
            break
        proposed = STEPS[name](candidate, material)
        score = judge.score(judge.of(proposed))
        if proposed is candidate:
            steps.append(Step(name, "", score, None, kept=False))
            continue
        gain = judge.gain(proposed, candidate)
        kept = gain[1] > 0 or not wish.auto
        steps.append(Step(name, proposed.note, score, gain, kept))
        candidate = proposed if kept else candidate
    return candidate, steps


def demanded(wish: Wish, pictures: int) -> float | None:
    """The limit of a wish; what ``auto`` demands unasked is dropped where it cannot be shown."""
    unasked = wish.max_drift is None
    return None if unasked and least_drift(pictures) > MAX_DRIFT else wish.limit


def keeps(steps: Sequence[Step], limit: float | None) -> bool | None:
    """Whether what was kept loses at most ``limit`` points of top-1, with 95 % confidence."""
    if limit is None:
        return None
    score = [step.score for step in steps if step.kept][-1]
    return -100 * score.top1.low <= limit


def write(candidate: Candidate, model: Path, destination: Path, checkpoint: Checkpoint) -> None:
    """The checkpoint, with the candidate's weights if they are not the float network's.

    Raises:
        CheckpointError: the disk refuses.
    """
    if set(candidate.applied) & OF_WEIGHTS:
        checkpoints.save_int8(model, destination, checkpoint, candidate.network.state_dict())
    else:
        checkpoints.amend(model, destination, checkpoint)
