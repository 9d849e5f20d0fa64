"""Proof that this machine computes what the host computed: the golden frames, stage by stage.

Each stage starts from the golden data of the one before, so that the first stage to differ is the
one at fault: ``resize`` makes inputs of frames, ``input`` makes the model's input of them, and
``logits`` is the model's answer.  A program on a board replays frames of its own too, ``selftest``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from edgenet import image, runtime
from edgenet.bundle import Bundle, Golden, Rounding
from edgenet.errors import EngineError, MissingPackage
from edgenet.runner import Array, Backend, Device, Session
from edgenet.runtime.litert import Resolver
from edgenet.spec import Preprocess, TensorSpec, Variant

TOLERANCES: Mapping[Rounding, float] = {"float": 1e-4, "dynamic": 0.05}
"""Largest difference of float logits, as a share of the largest golden logit.

Engines sum a convolution's products in another order on every CPU, which moves float32 logits of a
MobileNet by some 1e-6 of that; a wrong weight, pixel or channel moves them by 1e-2 and more.  Where
activations are quantized as they come, a sum that falls on the other side of a step moves all that
follows: of the shipped network, LiteRT's other kernels by 0.011, pictures moved by one pixel by
0.14, swapped colours by 0.83.
"""

OTHER_ROUNDING_STEPS = 4
"""Largest difference of int8 logits between the two families of rounding, in output steps.

Trained MobileNets stay within 2, untrained ones within 3.  It holds for int8 models with float
layers too, on every engine: a float sum may fall on the other side of a code.
"""

Stage = Literal["resize", "input", "logits", "selftest"]
Status = Literal["equal", "within tolerance", "other rounding", "differs", "skipped"]


class Check(msgspec.Struct, frozen=True):
    """What one stage came to.

    Attributes:
        stage: which stage.
        variant: of the bundle; None where all share the stage.
        status: ``other rounding`` means that the engine belongs to another family of int8 rounding
            than the golden outputs, and is within ``OTHER_ROUNDING_STEPS`` of them.
        detail: how much differs, why it was skipped, or what ran it.
    """

    stage: Stage
    variant: Variant | None
    status: Status
    detail: str = ""


def verify(
    bundle: Bundle, *, resolver: Resolver = "auto", device: Device | None = None
) -> list[Check]:
    """Replay the golden frames through every variant that this machine can run.

    Args:
        bundle: an opened bundle.
        resolver: the kernels that LiteRT runs.
        device: a board, prepared, that runs its variant in this machine's place.

    Raises:
        BundleError: the golden frames are missing or malformed.
    """
    golden = bundle.golden()
    checks = [_resize(golden, bundle.spec.preprocess)]
    for variant in bundle.variants:
        try:
            session = _engine(variant, resolver, device).open(bundle.model(variant))
        except (EngineError, MissingPackage) as error:
            checks.append(Check("logits", variant, "skipped", str(error)))
            continue
        checks.append(_input(bundle, golden, variant, session))
        if checks[-1].status == "equal":
            checks.append(_logits(bundle, golden, variant, session))
    if device is not None:
        checks.append(_selftest(device))
    return checks


def _engine(variant: Variant, resolver: Resolver, device: Device | None) -> Backend:
    if device is not None and variant == device.variant:
        return device.engine
    return runtime.backend_for(variant, resolver=resolver)


def _selftest(device: Device) -> Check:
    wrong = device.prove()
    if not wrong:
        return Check("selftest", device.variant, "equal", "every layer of its own pictures")
    picture, layer = divmod(wrong, 1000)
    detail = f"layer {layer} of its own picture {picture} is the first"
    return Check("selftest", device.variant, "differs", detail)


def _resize(golden: Golden, preprocess: Preprocess) -> Check:
    try:
        fitted = np.stack([image.fit(frame, preprocess) for frame in golden.frames])
    except MissingPackage as error:
        return Check("resize", None, "skipped", str(error))
    if np.array_equal(fitted, golden.inputs):
        return Check("resize", None, "equal")
    return Check("resize", None, "differs", _difference(fitted, golden.inputs, "grey levels"))


def _input(bundle: Bundle, golden: Golden, variant: Variant, session: Session) -> Check:
    record = bundle.record(variant)
    for mine, recorded in (
        (session.inputs, record.inputs),
        (session.outputs, record.outputs),
    ):
        if len(mine) != 1 or _unlike(mine[0], recorded[0]):
            detail = f"the model has {_show(mine)}, the manifest says {_show(recorded)}"
            return Check("input", variant, "differs", detail)
    tensor = record.inputs[0]
    made = np.concatenate(
        [image.as_tensor(pixels, bundle.spec.preprocess, tensor) for pixels in golden.inputs]
    )
    expected = _definition(golden.inputs, bundle.spec.preprocess, tensor)
    if tensor.dtype == "float32":
        equal = np.allclose(made, expected, rtol=0, atol=1e-6)
    else:
        equal = np.array_equal(made, expected)
    if equal:
        return Check("input", variant, "equal")
    return Check("input", variant, "differs", _difference(made, expected, "of its unit"))


def _logits(bundle: Bundle, golden: Golden, variant: Variant, session: Session) -> Check:
    record = bundle.record(variant)
    inputs = [
        image.as_tensor(pixels, bundle.spec.preprocess, record.inputs[0])
        for pixels in golden.inputs
    ]
    found = np.concatenate([session.run([value])[0] for value in inputs])
    expected, engine = golden.outputs[variant], runtime.describe(variant, session)
    if np.array_equal(found, expected):
        return Check("logits", variant, "equal", engine)
    largest = max(np.max(np.abs(expected)), np.finfo(np.float32).tiny)
    difference = float(np.max(np.abs(found.astype(np.float64) - expected)))
    if record.rounding in TOLERANCES:
        error, allowed = difference / largest, TOLERANCES[record.rounding]
        status: Status = "within tolerance" if error <= allowed else "differs"
        detail = f"largest difference {error:.1e} of the largest logit, {allowed:.0e} is allowed"
        return Check("logits", variant, status, f"{engine}; {detail}")
    steps = round(difference / _step(expected, float(largest)))
    detail = f"{np.mean(found != expected):.1%} of the logits by up to {steps} steps"
    if record.rounding == "mixed":
        status = "within tolerance" if steps <= OTHER_ROUNDING_STEPS else "differs"
        detail += f", {OTHER_ROUNDING_STEPS} are allowed where some layers are float"
        return Check("logits", variant, status, f"{engine}; {detail}")
    mine = runtime.rounding(session)
    # of the Edge TPU's own arithmetic the host knows nothing: its golden logits are a CPU's
    same = mine == record.rounding != "edgetpu"
    if same or steps > OTHER_ROUNDING_STEPS:
        return Check("logits", variant, "differs", f"{engine}; {detail}")
    golden_logits = record.rounding.replace("edgetpu", "as a CPU does")
    detail += f": it rounds {mine}, the golden logits {golden_logits}"
    return Check("logits", variant, "other rounding", f"{engine}; {detail}")


def _step(logits: Array, largest: float) -> float:
    """What an int8 step of the logits is in their own unit."""
    if logits.dtype == np.float32:
        # an int8 network that gives float32 hides its steps: 127 of them make the largest logit
        return largest / 127
    return 256.0 if logits.dtype == np.int16 else 1.0


def _definition(pixels: Array, preprocess: Preprocess, tensor: TensorSpec) -> Array:
    """The input by its definition, in float64; slow, and independent of ``image.as_tensor``."""
    real: Array = (pixels / 255 - np.array(preprocess.mean)) / np.array(preprocess.std)
    if image.is_planar(preprocess, tensor):
        real = np.moveaxis(real, 3, 1)
    if tensor.dtype == "float32":
        return real
    limits = np.iinfo(tensor.dtype)
    steps: Array = np.rint(real / tensor.scale[0]) + tensor.zero_point[0]
    return steps.clip(limits.min, limits.max)


def _difference(found: Array, expected: Array, unit: str) -> str:
    difference = np.abs(found.astype(np.float64) - expected)
    return f"{np.mean(difference > 0):.1%} of the values by up to {difference.max():.3g} {unit}"


def _unlike(mine: TensorSpec, recorded: TensorSpec) -> bool:
    """Whether they differ in more than their names, or in a scale that ONNX cannot state."""
    known = mine.scale, mine.zero_point
    return (mine.shape, mine.dtype) != (recorded.shape, recorded.dtype) or (
        known != ((), ()) and known != (recorded.scale, recorded.zero_point)
    )


def _show(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(
        f"{t.dtype} {t.shape}" + (f" scale {t.scale} zero point {t.zero_point}" if t.scale else "")
        for t in tensors
    )
