"""What one model file says of itself, and the demands that every classifier must meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenet.bundle import Answers
from edgenet.errors import ExportError
from edgenet.foreign.preprocess import Normalization
from edgenet.spec import TensorSpec, Variant

DTYPES = ("float32", "int8", "uint8")


@dataclass(frozen=True, slots=True)
class Given:
    """One model.

    Attributes:
        path: of its file.
        content: of its file.
        variant: what it is in a bundle: by its format, and by whether it computes in 8 bits.
        input: one tensor (1, height, width, 3) or (1, 3, height, width).
        output: one tensor (1, classes).
        answers: what the output is.
        labels: class names, where the file has them; else empty.
        normalization: of the input, where the file states it.
    """

    path: Path
    content: bytes
    variant: Variant
    input: TensorSpec
    output: TensorSpec
    answers: Answers
    labels: tuple[str, ...] = ()
    normalization: Normalization | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture that it takes."""
        shape = self.input.shape
        return (shape[1], shape[2]) if shape[3] == 3 else (shape[2], shape[3])

    @property
    def classes(self) -> int:
        return self.output.shape[1]


def check_ends(
    path: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> tuple[TensorSpec, TensorSpec]:
    """The one input and the one output of a classifier of RGB pictures, of a batch of 1.

    Raises:
        ExportError: the model has others.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise ExportError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; a classifier has one of"
            " each"
        )
    takes, gives = inputs[0], outputs[0]
    if len(takes.shape) != 4 or 3 not in (takes.shape[1], takes.shape[3]):
        raise ExportError(
            f"{path} takes {_shape(takes)}; a picture is 1xHEIGHTxWIDTHx3 or 1x3xHEIGHTxWIDTH"
        )
    if takes.shape[0] != 1:
        raise ExportError(
            f"{path} takes {_shape(takes)}, a batch of {takes.shape[0]}; export it with one of 1"
        )
    if len(gives.shape) != 2 or gives.shape[0] != 1 or gives.shape[1] < 2:
        raise ExportError(f"{path} gives {_shape(gives)}; a classifier gives 1xCLASSES")
    for tensor in (takes, gives):
        if tensor.dtype not in DTYPES:
            raise ExportError(
                f"{path}: {tensor.name!r} is {tensor.dtype}; one of {', '.join(DTYPES)} is needed"
            )
        if tensor.dtype != "float32" and not len(tensor.scale) == len(tensor.zero_point) == 1:
            raise ExportError(
                f"{path}: {tensor.name!r} is {tensor.dtype} and has {len(tensor.scale)} scales;"
                " one is needed, with its zero point"
            )
    return takes, gives


def refuse_sigmoid(path: Path, operator: str) -> None:
    """Raises ExportError: the network scores each class by itself."""
    raise ExportError(
        f"{path} ends with {operator}, which scores each class by itself; a bundle's classes are"
        " alternatives: export the model without it, so that it gives logits"
    )


def _shape(tensor: TensorSpec) -> str:
    return "x".join(map(str, tensor.shape)) or "one value"
