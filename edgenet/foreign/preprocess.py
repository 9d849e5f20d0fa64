"""How a picture becomes the input of a model: by name, by the file's word, by its quantization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgenet.errors import ExportError, UsageError
from edgenet.spec import TensorSpec

Three = tuple[float, float, float]


class Normalization(NamedTuple):
    """Of each channel, R, G, B, for pixels scaled to 0..1: input = (pixel - mean) / std."""

    mean: Three
    std: Three


PRESETS: Mapping[str, Normalization] = {
    # torchvision, timm: the statistics of ImageNet
    "torch": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # Keras' MobileNets, TensorFlow's slim: -1 to 1
    "tf": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # 0 to 1
    "unit": Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    # 0 to 255: networks that scale by themselves, as Keras' EfficientNet
    "pixels": Normalization((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}


def of_pixels(mean: Sequence[float], std: Sequence[float]) -> Normalization:
    """From mean and std for pixels of 0..255, as TFLite metadata has them; one value is for all.

    Raises:
        ValueError: there are neither one nor three of each, or a std is not above 0.
    """
    if len(mean) not in (1, 3) or len(std) not in (1, 3) or min(std) <= 0:
        raise ValueError(f"mean {mean} and std {std} are not of three channels")
    means, stds = (tuple(value / 255 for value in values) for values in (mean, std))
    return Normalization(_three(means), _three(stds))


def identity(tensor: TensorSpec) -> Normalization:
    """The normalization under which an integer input is the pixel itself, less 128 for int8.

    real = scale * (q - zero_point) with q = 255 * pixel (- 128) has this mean and std.

    Raises:
        ValueError: the tensor is no integer of one scale.
    """
    if tensor.dtype not in ("int8", "uint8") or len(tensor.scale) != 1:
        raise ValueError(f"{tensor.name!r} is {tensor.dtype} of {len(tensor.scale)} scales")
    zero = tensor.zero_point[0] + (128 if tensor.dtype == "int8" else 0)
    return Normalization((zero / 255,) * 3, (1 / (255 * tensor.scale[0]),) * 3)


def given_by_name(
    preset: str | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Normalization | None:
    """What the user asks for; None where it is nothing.

    Raises:
        UsageError: a preset and numbers are both given, or numbers that make no sense.
    """
    if preset is None and mean is None and std is None:
        return None
    if preset is not None and (mean or std):
        raise UsageError("--preprocess names mean and std; drop it, or --mean and --std")
    if preset is not None:
        return PRESETS[preset]
    mean, std = mean or (0.0,), std or (1.0,)
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, 3):
            raise UsageError(f"--{name} has {len(values)} values; give one, or one each of R,G,B")
    if min(std) <= 0:
        raise UsageError(f"--std is {min(std):g}; it must be above 0")
    if max(map(abs, mean)) > 2:
        raise UsageError(
            f"--mean {mean[0]:g} is for pixels of 0 to 255; divide mean and std by 255"
        )
    return Normalization(_three(mean), _three(std))


def agreed(found: Mapping[str, Normalization]) -> Normalization | None:
    """What all files say that say anything, by their names.

    Raises:
        ExportError: two say something else.
    """
    names = list(found)
    for name in names[1:]:
        pairs = zip(
            (*found[names[0]].mean, *found[names[0]].std),
            (*found[name].mean, *found[name].std),
            strict=True,
        )
        if any(abs(a - b) > 1e-4 for a, b in pairs):
            raise ExportError(
                f"{names[0]} and {name} state other normalizations, so one picture cannot serve"
                " both; say which is right with --preprocess, or make two bundles"
            )
    return found[names[0]] if names else None


def _three(values: Sequence[float]) -> Three:
    red, green, blue = values if len(values) == 3 else [values[0]] * 3
    return red, green, blue
