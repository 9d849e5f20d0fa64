"""How good a candidate is: what it answers to training pictures that calibration does not use."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from torch import nn

from edgenet import image
from edgenet.bundle import Calibration
from edgenet.dataset import Progress
from edgenet.drift.compare import compare
from edgenet.drift.significance import mean_interval
from edgenet.host.calibration import Choice, choose
from edgenet.host.export import convert
from edgenet.host.remedy.candidate import Candidate
from edgenet.report.remedy import Score
from edgenet.runner import Array
from edgenet.runtime import dequantize
from edgenet.runtime.litert import LiteRT
from edgenet.spec import ModelSpec

REPORTED = 50


@dataclass(frozen=True)
class Answers:
    """What a model gives for every picture held back.

    Attributes:
        logits: float32 (N, classes).
        latency_ms: median of one picture.
        model: the .tflite file.
    """

    logits: Array
    latency_ms: float
    model: bytes


class Judge:
    """Compares candidates with the float network, on LiteRT as devices do.

    Args:
        network: the float network.
        spec: of the network.
        choice: where calibration pictures were drawn; others of the same draw are held back.
        used: the calibration pictures.
        pictures: how many are held back; what is left of the training split where that is less.
        progress: told what is done.

    Raises:
        DataError: no training picture is left.
        ExportError: the float network cannot be converted.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: ModelSpec,
        choice: Choice,
        used: Calibration,
        *,
        pictures: int,
        progress: Progress,
    ) -> None:
        self.network, self.spec, self.progress = network, spec, progress
        train = choice.dataset.splits["train"]
        found = choose(
            choice.dataset,
            pictures,
            seed=choice.seed,
            without=used.sha256,
            progress=progress,
        )
        self.targets = train.targets[list(found)]
        self.pictures = [image.fit(train.rgb(index), spec.preprocess) for index in found]
        self._known: list[tuple[Candidate, Answers]] = []
        model = convert(network, None, spec, ["fp32.tflite"], progress=progress)
        self.reference = self.answers("fp32.tflite", model["fp32.tflite"])

    def answers(self, name: str, model: bytes) -> Answers:
        """Shows every picture to a .tflite model."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            path.write_bytes(model)
            session = LiteRT().open(path)
        takes, gives = session.inputs[0], session.outputs[0]
        logits, times = [], []
        for done, fitted in enumerate(self.pictures):
            if done % REPORTED == 0:
                self.progress(f"measuring {name}", done, len(self.pictures))
            tensor = image.as_tensor(fitted, self.spec.preprocess, takes)
            start = perf_counter()
            (codes,) = session.run([tensor])
            times.append(1e3 * (perf_counter() - start))
            logits.append(dequantize(codes, gives)[0])
        self.progress(f"measuring {name}", len(self.pictures), len(self.pictures))
        return Answers(np.stack(logits), median(times), model)

    def of(self, candidate: Candidate) -> Answers:
        """What the int8 model of a candidate answers; each is asked once."""
        for known, answers in self._known:
            if known is candidate:
                return answers
        model = convert(self.network, candidate.calibrator(), self.spec, ["int8.tflite"])
        name = " + ".join(["int8", *candidate.applied])
        found = self.answers(name, model["int8.tflite"])
        self._known.append((candidate, found))
        return found

    def score(self, answers: Answers) -> Score:
        """A model against the float network."""
        drift = compare(self.reference.logits, answers.logits, self.targets, self.spec.labels)
        return Score(
            top1=drift.top1,
            agreement=drift.agreement,
            snr_db=drift.snr_db,
            divergence=float(self._divergences(answers).mean()),
            latency_ms=answers.latency_ms,
            bytes=len(answers.model),
        )

    def gain(self, candidate: Candidate, since: Candidate) -> tuple[float, float, float]:
        """How much lower a candidate's divergence is, in nats, and the 95 % interval of that."""
        before, now = (self._divergences(self.of(one)) for one in (since, candidate))
        return mean_interval((before - now).tolist())

    def better(self, candidate: Candidate, since: Candidate) -> bool:
        """Whether the gain is no luck: all of its interval is above 0."""
        return self.gain(candidate, since)[1] > 0

    def _divergences(self, answers: Answers) -> Array:
        """Kullback-Leibler divergence of each picture's probabilities, float64 (N,)."""
        meant, given = (_log_softmax(one.logits) for one in (self.reference, answers))
        found: Array = (np.exp(meant) * (meant - given)).sum(axis=1)
        return found


def _log_softmax(logits: Array) -> Array:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    found: Array = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return found
