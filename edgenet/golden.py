"""Pictures that a program draws, for a device to prove its arithmetic on: no licence attaches.

They are of another size than the model's input, so they prove the resize too; and they hold what
goes wrong on devices: pure red and blue (swapped channels), a ramp (range and rounding), fine
stripes (the resize filter), a bright corner (orientation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenet import image, runtime
from edgenet.bundle import Golden
from edgenet.dataset import Progress, silent
from edgenet.runner import Array
from edgenet.spec import ModelSpec, TensorSpec, Variant

Pixels = NDArray[np.uint8]


def draw(height: int, width: int) -> Pixels:
    """The golden frames for a model's input size: uint8 (6, 3/2 height, 2 width, 3), RGB."""
    rows, columns = max(2, height * 3 // 2), max(2, width * 2)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    y, x = y / (rows - 1), x / (columns - 1)
    drawings: tuple[Callable[..., NDArray[np.float64]], ...] = (
        _colour_card,
        _ramps,
        _stripes,
        _bright_corner,
        _discs,
        _plasma,
    )
    frames = [np.rint(np.clip(drawing(y, x), 0, 1) * 255) for drawing in drawings]
    return np.stack(frames).astype(np.uint8)


Grid = NDArray[np.float64]


def _colour_card(y: Grid, x: Grid) -> Grid:
    colours: Grid = np.array(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]],
        dtype=np.float64,
    )
    cell = (x * 3.999).astype(int) + 4 * (y * 1.999).astype(int)
    card: Grid = colours[cell]
    return card


def _ramps(y: Grid, x: Grid) -> Grid:
    return np.stack([x, y, 1 - x], axis=-1)


def _stripes(y: Grid, x: Grid) -> Grid:
    rows, columns = y.shape
    fine = (np.arange(columns) % 3 == 0)[None, :] ^ (np.arange(rows) % 5 < 2)[:, None]
    tinted: Grid = fine[..., None] * np.array([0.9, 0.7, 0.4])
    return tinted


def _bright_corner(y: Grid, x: Grid) -> Grid:
    glow = np.exp(-6 * (x**2 + y**2))
    return np.stack([glow, 0.6 * glow + 0.1 * x, 0.3 * y], axis=-1)


def _discs(y: Grid, x: Grid) -> Grid:
    sky = np.stack([0.5 - 0.2 * y, 0.7 - 0.2 * y, 0.95 - 0.1 * y], axis=-1)
    for cy, cx, radius, colour in (
        (0.35, 0.3, 0.2, (0.9, 0.75, 0.1)),
        (0.6, 0.65, 0.28, (0.75, 0.2, 0.15)),
        (0.8, 0.25, 0.12, (0.15, 0.5, 0.2)),
    ):
        inside = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        sky[inside] = colour
    return sky


def _plasma(y: Grid, x: Grid) -> Grid:
    waves = [np.sin(17 * x + 5 * y), np.sin(11 * y - 7 * x * y), np.sin(23 * (x - 0.5) * (y - 0.4))]
    return np.stack(waves, axis=-1) * 0.5 + 0.5


Tensors = Mapping[Variant, tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]]


def answers(
    models: Mapping[Variant, bytes],
    spec: ModelSpec,
    folder: Path,
    *,
    tensors: Tensors | None = None,
    progress: Progress = silent,
) -> tuple[Golden, Tensors]:
    """Each model's answers to the golden frames, from the engine that the devices run.

    Args:
        models: contents by variant.
        spec: of all of them.
        folder: where the files are written for the engines.
        tensors: inputs and outputs; the engines' word by default, which lacks ONNX's scales.
        progress: told of each model.

    Raises:
        EngineError, MissingPackage: a model cannot be run here.
    """
    frames = draw(spec.preprocess.height, spec.preprocess.width)
    inputs = np.stack([image.fit(frame, spec.preprocess) for frame in frames])
    outputs: dict[Variant, Array] = {}
    found: dict[Variant, tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]] = {}
    for done, (variant, content) in enumerate(models.items(), start=1):
        path = folder / variant
        path.write_bytes(content)
        session = runtime.backend_for(variant).open(path)
        found[variant] = tensors[variant] if tensors else (session.inputs, session.outputs)
        takes = found[variant][0][0]
        rows = [session.run([image.as_tensor(pixels, spec.preprocess, takes)]) for pixels in inputs]
        outputs[variant] = np.concatenate([row[0] for row in rows])
        progress("answering the golden frames", done, len(models))
    return Golden(frames=frames, inputs=inputs, outputs=outputs), found
