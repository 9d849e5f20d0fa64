"""A checkpoint to a bundle: quantize once, translate, and record what every format answers."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from torch import Tensor, nn

from edgenet import __version__, bundle, codegen, golden
from edgenet.architecture import format_name
from edgenet.bundle import Bundle, Elimination
from edgenet.dataset import Progress, silent
from edgenet.errors import ExportError, UsageError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import tflite_metadata
from edgenet.host.calibration import Choice, calibrate
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.quantize import Calibrator, ChannelsLast, example_input
from edgenet.host.to_onnx import to_onnx
from edgenet.host.to_tflite import to_tflite
from edgenet.spec import EXPORTED, ModelSpec, Variant
from edgenet.target import Target

_PACKAGES = ("torch", "torchao", "litert-torch", "onnx", "onnxruntime", "ai-edge-litert", "numpy")


def model_name(spec: ModelSpec) -> str:
    """Architecture, alpha and resolution, as ``edgenet info`` takes them."""
    return format_name(spec.arch, spec.alpha, spec.preprocess.height)


def export(  # noqa: PLR0913  (what of, what for, where to, how, and whom to tell)
    model: Path,
    target: Target,
    destination: Path,
    *,
    calibration: Choice | None = None,
    eliminated: Callable[[codegen.Report], None] | None = None,
    command: str = "",
    progress: Progress = silent,
) -> Bundle:
    """Write the bundle of a checkpoint for a target.

    Args:
        model: the checkpoint's folder.
        target: its variants are what the bundle holds, but for those that the device's compiler
            makes of it (``edgenet.edgetpu.compiler``).
        destination: the bundle's folder; it appears whole or not at all.
        calibration: pictures to calibrate with; the checkpoint's own record without them.
        eliminated: told what leaving out dead channels saved in int8.tflite; they stay without it.
        command: what the user typed, for the manifest.
        progress: told of each stage.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ExportError: it holds no calibration and no pictures are given, or a converter refuses.
        UsageError: pictures are given, which would undo what was done to the weights of int8.
    """
    record, network = checkpoints.load_network(model)
    int8 = checkpoints.int8_network(model, record, network)
    calibrator, ranges = calibrated(record, int8, calibration, progress=progress)
    variants = [variant for variant in target.variants if variant in EXPORTED]
    models = convert(network, calibrator, record.spec, variants, progress=progress)
    elimination: dict[Variant, Elimination] = {}
    if eliminated is not None and "int8.tflite" in models:
        models["int8.tflite"], report = codegen.eliminate(models["int8.tflite"], "int8.tflite")
        elimination["int8.tflite"] = msgspec.convert(report, Elimination, from_attributes=True)
        eliminated(report)
    with tempfile.TemporaryDirectory() as folder:
        pictures, tensors = golden.answers(models, record.spec, Path(folder), progress=progress)
    return bundle.write(
        destination,
        name=model_name(record.spec),
        target=target.name,
        spec=record.spec,
        models=models,
        tensors=tensors,
        golden=pictures,
        calibration=msgspec.structs.replace(
            ranges.record, remedies=ranges.remedies, keep_float=ranges.keep_float
        ),
        drift=None,
        versions=versions(),
        command=command,
        elimination=elimination,
    )


def calibrated(
    record: Checkpoint, network: nn.Module, choice: Choice | None, *, progress: Progress = silent
) -> tuple[Calibrator, CalibrationRecord]:
    """A calibrator that knows its ranges: seen in pictures, or recorded with the checkpoint.

    Args:
        record: of the checkpoint.
        network: what int8 is made of, as ``checkpoint.int8_network`` gives it.
        choice: the pictures.
        progress: told of each picture.

    Raises:
        ExportError: there are neither pictures nor ranges.
        UsageError: both, and the ranges belong to weights that pictures cannot give again.
    """
    if choice is not None:
        if checkpoints.has_int8(record) and record.calibration is not None:
            raise UsageError(
                f"the checkpoint holds weights for int8 ({', '.join(record.calibration.remedies)}) "
                "with their ranges; leave --data out, or start again from the float weights with: "
                "edgenet quantize --remedy none"
            )
        return calibrate(record, network, choice, progress=progress)
    if record.calibration is None:
        raise ExportError(
            "the checkpoint holds no calibration; give its training pictures with --data"
        )
    progress("applying the recorded calibration", 0, 1)
    calibrator = Calibrator(network, record.spec, keep_float=record.calibration.keep_float)
    calibrator.apply(record.calibration.ranges)
    progress("applying the recorded calibration", 1, 1)
    return calibrator, record.calibration


def convert(
    network: nn.Module,
    calibrator: Calibrator,
    spec: ModelSpec,
    variants: Sequence[Variant],
    *,
    progress: Progress = silent,
) -> dict[Variant, bytes]:
    """The model files: both int8 ones of one graph, both float ones of the other.

    Raises:
        ExportError: a converter refuses; its reason is in the sentence and its log under -v.
    """
    example = example_input(spec)
    float_graph = ChannelsLast(network).eval()
    int8_graph = calibrator.convert() if any(v.startswith("int8") for v in variants) else None
    models: dict[Variant, bytes] = {}
    for done, variant in enumerate(variants):
        progress(f"writing {variant}", done, len(variants))
        graph = float_graph if int8_graph is None or variant.startswith("fp32") else int8_graph
        models[variant] = _translate(graph, variant, spec, example)
    progress(f"writing {variants[-1]}", len(variants), len(variants))
    return models


def _translate(graph: nn.Module, variant: Variant, spec: ModelSpec, example: Tensor) -> bytes:
    try:
        if variant.endswith(".onnx"):
            return to_onnx(graph, example, int8=variant.startswith("int8"))
        model = to_tflite(graph, example)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportError(f"{variant} could not be written: {reason}") from error
    return tflite_metadata.attach(
        model,
        labels=spec.labels,
        preprocess=spec.preprocess,
        name=model_name(spec),
        description=f"{model_name(spec)} {variant}, exported by edgenet {__version__}",
    )


def versions() -> dict[str, str]:
    """Of edgenet and the packages that made the models."""
    return {"edgenet": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES}
