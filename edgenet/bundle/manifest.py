"""What a bundle says of itself: the records in manifest.json, and how they are read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgenet.board import Board
from edgenet.errors import BundleError, nothing_at
from edgenet.spec import ASKED_FOR, VARIANTS, ModelSpec, TensorSpec, Variant

SCHEMA = 3
MANIFEST = "manifest.json"
Rounding = Literal[
    "float",
    "float32-half-even",
    "gemmlowp-double",
    "edgetpu",
    "mixed",
    "int16x8",
    "dynamic",
]
_ROUNDINGS_OF_SCHEMA_3 = {"mixed", "int16x8", "dynamic"}
Answers = Literal["logits", "probabilities"]

_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_PATH = re.compile(f"{_NAME}(/{_NAME})*")
_SHA256 = re.compile("[0-9a-f]{64}")


class FileRecord(msgspec.Struct, frozen=True):
    """A file of the bundle: its path below the root (with ``/``), sha256 in hex, and bytes."""

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError(
                f"path {self.path!r} must be relative, stay inside the bundle,"
                " and be made of letters, digits, '_', '-', '.' and '/'"
            )
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} must be 64 digits of lower-case hex")


class Elimination(msgspec.Struct, frozen=True):
    """What leaving out dead channels saved in a model; its outputs are the same, bit for bit.

    Attributes:
        channels: of all layers with weights, before.
        channels_left: after.
        macs: multiplications for one picture, before.
        macs_left: after.
        bytes: of the file, before.
        bytes_left: after.
    """

    channels: int
    channels_left: int
    macs: int
    macs_left: int
    bytes: int
    bytes_left: int


class ModelRecord(FileRecord, frozen=True, kw_only=True, omit_defaults=True):
    """A model file and the arithmetic that its golden outputs were computed with.

    Attributes:
        inputs: the model's input, one tensor (1, height, width, 3) or (1, 3, height, width).
        outputs: the model's output, one tensor (1, classes).
        rounding: ``float`` for float models; ``float32-half-even`` scales int32 sums in float32
            (XNNPACK, ONNX Runtime, torch); ``gemmlowp-double`` in integers, rounding twice
            (TensorFlow Lite's reference kernels, TensorFlow Lite Micro); ``edgetpu`` is the Edge
            TPU's own, which is not published; ``mixed`` is that of an int8 model with float layers,
            ``int16x8`` is LiteRT's integer kernels, ``dynamic`` scales what it meets.
        answers: what the output is; a network that ends with a softmax gives ``probabilities``.
        elimination: None where dead channels were left in the model.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    rounding: Rounding
    answers: Answers = "logits"
    elimination: Elimination | None = None


# usual, and what the commands draw unless told otherwise
CALIBRATION_IMAGES = 200


class Calibration(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the activation ranges were taken from.

    Attributes:
        source: the data set and its split.
        images: how many pictures.
        seed: of the draw.
        method: how a range was made of what was seen.
        sha256: of each picture's decoded pixels, so that evaluation can be kept apart.
        remedies: what was done against drift, in order (docs/remedies.md).
        keep_float: layers that stay float in the int8 models.
    """

    source: str
    images: int
    seed: int
    method: str
    sha256: tuple[str, ...]
    remedies: tuple[str, ...] = ()
    keep_float: tuple[str, ...] = ()


class ProgramRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A program in C of the int8 .tflite; its files are in ``files``, by their paths.

    Attributes:
        name: prefix of its files and identifiers.
        rounding: its arithmetic.
        arena: bytes of RAM, inputs and outputs included.
        constants: bytes of weights and parameters in flash.
        macs: multiplications for one picture.
        board: that it was made for, and that commands choose unless told otherwise.
        own_board: what its file says, where it is none of those that ship.
        sram_budget: bytes that the arena was to take at the most.
    """

    name: str
    rounding: Rounding
    arena: int
    constants: int
    macs: int
    board: str | None = None
    sram_budget: int | None = None
    own_board: Board | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a bundle says of itself; docs/bundle.md explains each key."""

    schema: int
    name: str
    target: str
    spec: ModelSpec
    models: dict[Variant, ModelRecord]
    files: dict[str, FileRecord]
    calibration: Calibration | None
    drift: dict[str, Any] | None
    versions: dict[str, str]
    command: str
    program: ProgramRecord | None = None


def needed_schema(models: Mapping[Variant, ModelRecord]) -> int:
    """The oldest schema that can state these models, so that old readers read what they can.

    Schema 2 adds ``answers``: a reader of schema 1 would take probabilities for logits.  Schema 3
    adds variants and roundings: an older reader would leave the models out, or call them malformed.
    """
    asked_for = set(ASKED_FOR.values())
    if asked_for & set(models) or any(
        record.rounding in _ROUNDINGS_OF_SCHEMA_3 for record in models.values()
    ):
        return 3
    return 2 if any(record.answers != "logits" for record in models.values()) else 1


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as indented JSON with sorted keys: equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def decode(data: bytes) -> Manifest:
    """Read a manifest; unknown keys and models of unknown variants are ignored.

    Raises:
        BundleError: it is not JSON, a key is missing or has the wrong type, or its schema is newer.
    """
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise BundleError(f"{MANIFEST} holds {_kind(content)}; a bundle's holds an object")
    _check_schema(content.get("schema"))
    if isinstance(models := content.get("models"), dict):
        content["models"] = {name: models[name] for name in VARIANTS if name in models}
    try:
        return msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{MANIFEST} is malformed: {_lower(str(error))}") from error


def read(root: Path) -> Manifest:
    """Read the manifest of the bundle in a folder.

    Raises:
        BundleError: there is none, or it is malformed or newer than this reader.
    """
    if not root.exists():
        raise BundleError(nothing_at(root, "edgenet export makes a bundle"))
    path = root / MANIFEST
    if not path.is_file():
        kind = "has no manifest.json" if root.is_dir() else "is a file; a bundle is a folder"
        raise BundleError(f"{root} {kind}; write a bundle with: edgenet export --target TARGET")
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except BundleError as error:
        raise BundleError(f"{root}: {error}") from error


def _check_schema(schema: object) -> None:
    if schema is None:
        raise BundleError(f"{MANIFEST} is malformed: it has no schema number")
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise BundleError(f"{MANIFEST} is malformed: schema is {_kind(schema)}, not a whole number")
    if schema > SCHEMA:
        raise BundleError(
            f"{MANIFEST} has schema {schema}, this edgenet reads up to {SCHEMA};"
            " run: pip install --upgrade edgenet"
        )
    if schema < 1:
        raise BundleError(f"{MANIFEST} has schema {schema}; the first is 1")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return "nothing" if value is None else kinds.get(type(value), "a number")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
