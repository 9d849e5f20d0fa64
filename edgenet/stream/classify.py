"""A frame in, a prediction out, with the time of each stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgenet import image, runtime
from edgenet.bundle import Answers, Bundle
from edgenet.runner import Array, Backend, Frame, Prediction, Session
from edgenet.runtime.litert import LiteRTSession
from edgenet.spec import Preprocess, TensorSpec, Variant
from edgenet.stream.ahead import Fitted

_LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Classifier:
    """One variant of a bundle, loaded.

    Attributes:
        session: the loaded model.
        preprocess: how a picture becomes its input.
        input: the model's input, as the bundle records it.
        output: the model's output, as the bundle records it.
        engine: the name of what runs it.
        reals: the logit of each of an 8-bit output's 256 codes; None for a float output.
        answers: what the model's output is.
        memory: for pictures on their way, since one frame is like the next.
    """

    session: Session
    preprocess: Preprocess
    input: TensorSpec
    output: TensorSpec
    engine: str
    reals: NDArray[np.float32] | None
    answers: Answers = "logits"
    memory: image.Memory = field(default_factory=image.Memory)

    @classmethod
    def open(
        cls, bundle: Bundle, variant: Variant, *, threads: int = 1, backend: Backend | None = None
    ) -> Self:
        """Load a variant of a bundle.

        Args:
            bundle: an opened bundle.
            variant: one that it holds.
            threads: that the engine may use.
            backend: the engine; the one for the variant's format by default.

        Raises:
            BundleError: the bundle does not hold the variant.
            EngineError: the engine cannot run the model.
            MissingPackage: the engine is not installed.
        """
        record = bundle.record(variant)
        backend = backend or runtime.backend_for(variant)
        return cls(
            session=backend.open(bundle.model(variant), threads=threads),
            preprocess=bundle.spec.preprocess,
            input=record.inputs[0],
            output=record.outputs[0],
            engine=backend.name,
            reals=_reals(record.outputs[0], record.answers),
            answers=record.answers,
        )

    def prepare(self, rgb: NDArray[np.uint8]) -> Array:
        """Fit a picture (H, W, 3) and turn it into the model's input, see ``image.as_tensor``."""
        return image.as_tensor(image.fit(rgb, self.preprocess), self.preprocess, self.input)

    def logits(self, model_input: Array) -> NDArray[np.float32]:
        """Run the model: float32 (classes,), dequantized."""
        return self._dequantize(self.session.run([model_input]))

    def __call__(self, frame: Frame) -> Prediction:
        """Classify a frame and time the stages; for one thread at a time."""
        start = perf_counter()
        session = self.session
        if isinstance(frame, Fitted):
            pixels, ahead_ms = frame.pixels, frame.fit_ms
        else:
            pixels = image.fit(frame.rgb, self.preprocess, memory=self.memory)
            ahead_ms = 0.0
        if isinstance(session, LiteRTSession) and self.input.shape[3] == 3:
            image.fill(session.input_memory(), pixels, self.preprocess, self.input)
            prepared = perf_counter()
            outputs = session.invoke()
        else:
            model_input = image.as_tensor(pixels, self.preprocess, self.input)
            prepared = perf_counter()
            outputs = session.run([model_input])
        invoked = perf_counter()
        logits = self._dequantize(outputs)
        end = perf_counter()
        stage_ms = {
            "preprocess": (prepared - start) * 1e3 + ahead_ms,
            "invoke": (invoked - prepared) * 1e3,
            "postprocess": (end - invoked) * 1e3,
        }
        return Prediction(frame.index, logits, stage_ms, frame.name)

    def _dequantize(self, outputs: list[Array]) -> NDArray[np.float32]:
        if self.reals is not None:
            # a negative code counts from the end, where its value is
            found: NDArray[np.float32] = self.reals.take(outputs[0][0])
            return found
        found = runtime.dequantize(outputs[0], self.output)[0]
        return found if self.answers == "logits" else _log(found, _LEAST)


def _reals(output: TensorSpec, answers: Answers) -> NDArray[np.float32] | None:
    """One look-up replaces four passes, each of which costs microseconds after a model ran."""
    if output.dtype not in ("int8", "uint8") or len(output.scale) != 1:
        return None
    codes = np.arange(256, dtype=np.uint8).view(output.dtype)
    reals: NDArray[np.float32] = runtime.dequantize(codes[None], output)[0]
    return reals if answers == "logits" else _log(reals, output.scale[0] / 2)


def _log(found: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """Logits whose softmax are the probabilities ``found``, of which none is taken below least."""
    logits: NDArray[np.float32] = np.log(np.maximum(found, np.float32(least)))
    return logits


def probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax of the last axis, exp(x) / sum(exp(x)), in float64."""
    shifted = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result
