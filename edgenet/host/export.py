"""A checkpoint to a bundle: quantize once, translate, and record what every format answers."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
from torch import nn

from edgenet import __version__, bundle, codegen, golden
from edgenet.architecture import format_name
from edgenet.bundle import Bundle, Calibration, Elimination
from edgenet.dataset import Progress, silent
from edgenet.errors import ExportError, UsageError
from edgenet.host import checkpoint as checkpoints
from edgenet.host import formats, tflite_metadata
from edgenet.host.calibration import Choice, calibrate
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.quantize import Calibrator, ChannelsLast, example_input, input_quantization
from edgenet.host.to_onnx import to_onnx
from edgenet.host.to_tflite import to_tflite
from edgenet.spec import COMPILED_FROM, ModelSpec, Quantization, Variant
from edgenet.target import Target

_PACKAGES = (
    "torch",
    "torchao",
    "litert-torch",
    "ai-edge-quantizer",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
    "numpy",
)


def model_name(spec: ModelSpec) -> str:
    """Architecture, alpha and resolution, as ``edgenet info`` takes them."""
    return format_name(spec.arch, spec.alpha, spec.preprocess.height)


def export(  # noqa: PLR0913  (what of, what for, where to, how, and whom to tell)
    model: Path,
    target: Target,
    destination: Path,
    *,
    calibration: Choice | None = None,
    quantize: Collection[Quantization] = (),
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
        quantize: what to make beside float32; what the target has by default.
        eliminated: told what leaving out dead channels saved in int8.tflite; they stay without it.
        command: what the user typed, for the manifest.
        progress: told of each stage.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ExportError: it holds no calibration and no pictures are given, or a converter refuses.
        UsageError: the target does not run what is asked for, or pictures are given that nothing
            needs or that would undo what was done to the weights of int8.
    """
    variants = [one for one in target.to_export(quantize) if one not in COMPILED_FROM]
    record, network = check(model, variants)  # before calibration takes time
    int8 = checkpoints.int8_network(model, record, network)
    calibrator, ranges = None, None
    if any(map(_needs_ranges, variants)):
        calibrator, ranges = calibrated(record, int8, calibration, progress=progress)
    elif calibration is not None:
        raise UsageError(
            f"--data gives int8 and int16x8 their ranges, and {', '.join(variants)} need none; "
            "leave it out"
        )
    kept = ranges.keep_float if ranges is not None else ()
    if kept and target.description.quantize == ("int8",):
        raise ExportError(
            f"the checkpoint keeps {', '.join(kept)} in float, and target {target.name} "
            "computes in int8 alone; quantize without the remedy layers, or name another --target"
        )
    models = convert(
        network, calibrator, record.spec, variants, int8_network=int8, progress=progress
    )
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
        calibration=None if ranges is None else _told(ranges),
        drift=None,
        versions=versions(),
        command=command,
        elimination=elimination,
        mixed=[one for one in models if kept and one.startswith("int8.")],
    )


def check(model: Path, variants: Sequence[Variant]) -> tuple[Checkpoint, nn.Module]:
    """A checkpoint and its float network, which all variants can hold.

    Raises:
        CheckpointError: it cannot be read.
        ExportError: a variant cannot hold it.
    """
    record, network = checkpoints.load_network(model)
    if "int16x8.tflite" in variants:
        formats.check_int16x8(network)
    return record, network


def _told(ranges: CalibrationRecord) -> Calibration:
    return msgspec.structs.replace(
        ranges.record, remedies=ranges.remedies, keep_float=ranges.keep_float
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
    calibrator: Calibrator | None,
    spec: ModelSpec,
    variants: Sequence[Variant],
    *,
    int8_network: nn.Module | None = None,
    progress: Progress = silent,
) -> dict[Variant, bytes]:
    """The model files: those of integers of one graph, those of floats of the other.

    Args:
        network: the float network.
        calibrator: that knows the ranges; None where no variant needs any.
        spec: of both networks.
        variants: what to make.
        int8_network: with the weights that integers are made of; ``network`` by default.
        progress: told of each file.

    Raises:
        ExportError: a converter refuses; its reason is in the sentence and its log under -v.
    """
    translator = _Translator(network, int8_network or network, calibrator, spec)
    models: dict[Variant, bytes] = {}
    for done, variant in enumerate(variants):
        progress(f"writing {variant}", done, len(variants))
        models[variant] = _described(translator, variant, spec)
    progress(f"writing {variants[-1]}", len(variants), len(variants))
    return models


def _needs_ranges(variant: Variant) -> bool:
    return variant.startswith(("int8", "int16x8"))


class _Translator:
    """The files of one network; what several of them need is made once."""

    def __init__(
        self,
        network: nn.Module,
        int8_network: nn.Module,
        calibrator: Calibrator | None,
        spec: ModelSpec,
    ) -> None:
        self.network, self.int8_network = network, int8_network
        self.calibrator, self.spec = calibrator, spec
        self.example = example_input(spec)

    def __call__(self, variant: Variant) -> bytes:
        if variant == "int16x8.tflite":
            formats.check_int16x8(self.network)
            same = self.int8_network is self.network
            floats = self.float_tflite if same else self._float(self.int8_network)
            inputs = input_quantization(self.spec.preprocess)
            return formats.int16x8(floats, self.int8_tflite, inputs)
        makers: dict[Variant, Callable[[], bytes]] = {
            "fp32.tflite": lambda: self.float_tflite,
            "int8.tflite": lambda: self.int8_tflite,
            "float16.tflite": lambda: formats.float16(self.float_tflite),
            "dynamic.tflite": lambda: formats.dynamic_range(self.float_tflite),
            "fp32.onnx": lambda: self._onnx(ChannelsLast(self.network).eval(), int8=False),
            "int8.onnx": lambda: self._onnx(self.int8_graph, int8=True),
        }
        return makers[variant]()

    @cached_property
    def float_tflite(self) -> bytes:
        return self._float(self.network)

    @cached_property
    def int8_tflite(self) -> bytes:
        return to_tflite(self.int8_graph, self.example)

    @cached_property
    def int8_graph(self) -> nn.Module:
        if self.calibrator is None:
            raise ValueError("integers need a calibrator")
        return self.calibrator.convert()

    def _onnx(self, graph: nn.Module, *, int8: bool) -> bytes:
        return to_onnx(graph, self.example, int8=int8)

    def _float(self, network: nn.Module) -> bytes:
        return to_tflite(ChannelsLast(network).eval(), self.example)


def _described(translator: _Translator, variant: Variant, spec: ModelSpec) -> bytes:
    try:
        model = translator(variant)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ExportError(f"{variant} could not be written: {reason}") from error
    if variant.endswith(".onnx"):
        return model
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
