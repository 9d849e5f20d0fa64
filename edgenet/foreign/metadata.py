"""Normalization and labels in a .tflite's metadata, whoever wrote it.

The flatbuffer ``TFLITE_METADATA`` has the schema of tflite-support's metadata_schema.fbs 1.0.0 and
later ones; slots below are its.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgenet.errors import DataError, ExportError, GraphError
from edgenet.foreign.labels import split_labels
from edgenet.foreign.preprocess import Normalization, of_pixels
from edgenet.tflite import Model, associated_files
from edgenet.tflite.flatbuffer import Bytes, Malformed, Table

ENTRY = "TFLITE_METADATA"

_MARK = b"M001"
_NORMALIZATION_OPTIONS = 1
_IMAGE_PROPERTIES = 2
_GRAYSCALE = 2
_TENSOR_AXIS_LABELS = 2


def read(model: Model, content: bytes) -> tuple[Normalization | None, tuple[str, ...]]:
    """What the metadata says of input and labels; None and () where it says nothing.

    Args:
        model: as ``edgenet.tflite.read`` gives it.
        content: the file, behind whose model the label file lies.

    Raises:
        ExportError: the metadata is damaged, or is of a grey picture.
    """
    data = model.metadata.get(ENTRY, b"")
    if not data:
        return None, ()
    damaged = f"{model.name}: its metadata is damaged; say --preprocess and --labels"
    try:
        if data[4:8] != _MARK:
            raise Malformed("its mark 'M001' is missing")
        root = Bytes(data).root()
        takes, gives = _tensors(root, 2), _tensors(root, 3)
        if any(_is_grey(tensor) for tensor in takes):
            raise ExportError(f"{model.name} takes grey pictures; edgenet's are RGB")
        normalization = next((found for t in takes for found in _normalizations(t)), None)
        names = [name for tensor in gives for name in _label_files(tensor)]
        files = associated_files(content, model.name) if names else {}
        if not names or names[0] not in files:
            return normalization, ()
        return normalization, split_labels(files[names[0]].decode("utf-8"), names[0])
    except (Malformed, ValueError, GraphError, DataError) as error:
        raise ExportError(f"{damaged} ({error})") from error


def _tensors(root: Table, slot: int) -> list[Table]:
    """Metadata of the first subgraph's inputs (2) or outputs (3)."""
    subgraph = next(root.tables(3), None)
    return [] if subgraph is None else list(subgraph.tables(slot))


def _normalizations(tensor: Table) -> Iterator[Normalization]:
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.integer(0, "ubyte") == _NORMALIZATION_OPTIONS and options is not None:
            mean, std = options.numbers(0, "float").tolist(), options.numbers(1, "float").tolist()
            yield of_pixels(mean, std)


def _label_files(tensor: Table) -> Iterator[str]:
    for file in tensor.tables(6):
        if file.integer(2, "byte") == _TENSOR_AXIS_LABELS:
            yield file.text(0)


def _is_grey(tensor: Table) -> bool:
    content = tensor.table(3)
    if content is None or content.integer(0, "ubyte") != _IMAGE_PROPERTIES:
        return False
    image = content.table(1)
    return image is not None and image.integer(0, "byte") == _GRAYSCALE
