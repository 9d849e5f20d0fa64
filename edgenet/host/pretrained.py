"""Published ImageNet weights, in torchvision's or timm's layout, as edgenet's networks have them.

What differs is made equal in the weights: the other epsilon of batch norm goes into its factors,
and a mean and std of each channel go into the first convolution, since an int8 input has one
mean and one std.  The latter is exact but for the picture's edge, where padding then stands for
one grey instead of each channel's mean.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgenet.errors import CheckpointError, MissingPackage, UsageError, nothing_at
from edgenet.host.layouts import layout_of, translate
from edgenet.host.models import NORM_EPS, Network
from edgenet.spec import ModelSpec

Channels = tuple[float, float, float]

IMAGENET: tuple[Channels, Channels] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF: tuple[Channels, Channels] = (0.5,) * 3, (0.5,) * 3
# a whole pixel, so that the int8 input is exact; both are nearly the mean of IMAGENET's
ONE_FOR_ALL: tuple[Channels, Channels] = (114 / 255,) * 3, (0.226,) * 3

FILES = ("model.safetensors", "config.json")
SUFFIXES = (".safetensors", ".pth", ".pt")

PUBLISHED: Mapping[tuple[str, float], str] = {
    ("mobilenet_v1", 1.0): "timm/mobilenetv1_100.ra4_e3600_r224_in1k",
    ("mobilenet_v1", 1.25): "timm/mobilenetv1_125.ra4_e3600_r224_in1k",
    ("mobilenet_v2", 0.5): "timm/mobilenetv2_050.lamb_in1k",
    ("mobilenet_v2", 1.0): "timm/mobilenetv2_100.ra_in1k",
    ("mobilenet_v2", 1.4): "timm/mobilenetv2_140.ra_in1k",
    ("mobilenet_v3_large", 0.75): "timm/tf_mobilenetv3_large_075.in1k",
    ("mobilenet_v3_large", 1.0): "timm/mobilenetv3_large_100.ra_in1k",
    ("mobilenet_v3_small", 0.5): "timm/mobilenetv3_small_050.lamb_in1k",
    ("mobilenet_v3_small", 0.75): "timm/mobilenetv3_small_075.lamb_in1k",
    ("mobilenet_v3_small", 1.0): "timm/mobilenetv3_small_100.lamb_in1k",
    ("mobilenet_v3_large_minimalistic", 1.0): "timm/tf_mobilenetv3_large_minimal_100.in1k",
    ("mobilenet_v3_small_minimalistic", 1.0): "timm/tf_mobilenetv3_small_minimal_100.in1k",
}
"""Repositories on the Hugging Face hub, by architecture and alpha."""

AGAIN = "the file is damaged: fetch it again"


@dataclass(frozen=True)
class Published:
    """Weights as they were published, and what they were trained for.

    Attributes:
        source: the file or repository, in words.
        weights: by the names of their layout.
        padding: of their convolutions, as in ``ModelSpec``.
        mean: of each channel of the input.
        std: of each channel of the input.
        eps: of their batch norms.
    """

    source: str
    weights: Mapping[str, Tensor]
    padding: Literal["same", "symmetric"]
    mean: Channels
    std: Channels
    eps: float

    def fit(self, spec: ModelSpec) -> ModelSpec:
        """The spec of a network that can take these weights: their padding, one mean and std."""
        same = len(set(self.mean)) == len(set(self.std)) == 1
        mean, std = (self.mean, self.std) if same else ONE_FOR_ALL
        preprocess = msgspec.structs.replace(spec.preprocess, mean=mean, std=std)
        return msgspec.structs.replace(spec, padding=self.padding, preprocess=preprocess)

    def give(self, model: Network, spec: ModelSpec) -> str:
        """Loads the weights into ``model``; the head too if it has as many classes.

        Args:
            model: the network of ``spec``.
            spec: as ``fit`` gave it, or any with the same padding.

        Returns:
            What was done, in a sentence.

        Raises:
            CheckpointError: the weights are of another network, or damaged.
        """
        own = model.state_dict()
        found = translate(self.weights, spec.arch, own)
        found = {name: tensor.to(own[name].dtype) for name, tensor in found.items()}
        self._equalize(found, spec)
        for name, tensor in found.items():
            if not tensor.isfinite().all():
                raise CheckpointError(
                    f"{self.source}: {name} holds values that are no numbers; {AGAIN}"
                )
        model.load_state_dict(own | found)
        kept = "head and all" if "classifier.weight" in found else "with a new head"
        return f"starting from {self.source}, {kept}"

    def _equalize(self, found: dict[str, Tensor], spec: ModelSpec) -> None:
        """Put the other epsilon and the other normalization of the input into the weights."""
        for name in [name for name in found if name.endswith(".running_var")]:
            variance = found[name].double()
            factor = ((variance + NORM_EPS) / (variance + self.eps)).sqrt()
            weight = name.replace("running_var", "weight")
            found[weight] = (found[weight].double() * factor).float()
        theirs, ours = (self.mean, self.std), (spec.preprocess.mean, spec.preprocess.std)
        if theirs != ours:
            mean, std = (torch.tensor(one, dtype=torch.float64) for one in theirs)
            own_mean, own_std = (torch.tensor(one, dtype=torch.float64) for one in ours)
            kernel = found["stem.conv.weight"].double()
            shift = (kernel.sum((2, 3)) * (own_mean - mean) / std).sum(1)
            running = found["stem.norm.running_mean"].double() - shift
            found["stem.norm.running_mean"] = running.float()
            scaled = kernel * (own_std / std).reshape(1, 3, 1, 1)
            found["stem.conv.weight"] = scaled.float()


def find(weights: str, arch: str, alpha: float) -> Published:
    """The weights of a name.

    Args:
        weights: a ``.safetensors`` or ``.pth`` file, ``imagenet``, or a repository on the hub such
            as ``timm/mobilenetv2_100.ra_in1k``.  A timm ``config.json`` beside a file is read.
        arch: a key of ``ARCHITECTURES``.
        alpha: width multiplier.

    Raises:
        UsageError: ``imagenet`` is asked for where nothing is published.
        CheckpointError: the file cannot be read, or the hub not reached.
    """
    if weights == "imagenet":
        if (arch, alpha) not in PUBLISHED:
            known = ", ".join(f"{name} {width:g}" for name, width in sorted(PUBLISHED))
            raise UsageError(
                f"no ImageNet weights are known for {arch} {alpha:g}; there are some for {known}"
            )
        weights = PUBLISHED[arch, alpha]
    path = Path(weights)
    if _of_hub(path, weights):
        path, config = (_fetch(weights, name) for name in FILES)
    else:
        config = path.parent / FILES[1]
    tensors = read(path)
    return _described(weights, path, tensors, config, arch)


def _of_hub(path: Path, weights: str) -> bool:
    """Whether a name is of a repository rather than of a file, there or missing."""
    here = path.is_file() or path.parent.is_dir() or path.suffix in SUFFIXES
    return not here and re.fullmatch(r"[\w-]+/[\w.-]+", weights) is not None


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of one that ``torch.save`` wrote.

    Raises:
        CheckpointError: there is none, it is damaged, or it holds more than tensors.
    """
    if not path.is_file():
        raise CheckpointError(
            nothing_at(path, "give a .safetensors or .pth file, or the word imagenet")
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # torch's, of bytes that make no sense
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise CheckpointError(
            f"{path} is no file of weights alone: it was damaged or cut short (fetch it again), or "
            "holds more than tensors (save the network's state_dict())"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(map(_is_weight, content, content.values())):
        raise CheckpointError(
            f"{path} holds no table of named weights; give what a network's state_dict() is"
        )
    return dict(content)


def _is_weight(name: Any, value: Any) -> bool:
    """Whether it is a named tensor that copies as it is: neither sparse, quantized nor complex."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
    )


def _described(
    name: str, path: Path, tensors: dict[str, Tensor], config: Path, arch: str
) -> Published:
    """What is known of weights, from their layout, their names and timm's ``config.json``."""
    known: dict[str, Any] = {}
    layout = layout_of(tensors)
    if layout == "timm" and config.is_file():
        try:
            known = json.loads(config.read_bytes())
            known = known.get("pretrained_cfg", known) | {"architecture": known["architecture"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{config} is no config.json of timm's: {error}") from error
    stem = str(known.get("architecture", path.name))
    # those that were brought over from TensorFlow
    ported = layout == "timm" and (stem.startswith("tf_") or arch.endswith("minimalistic"))
    mean, std = HALF if ported or arch.startswith("mobilenet_v1") else IMAGENET
    third = arch.startswith("mobilenet_v3")
    return Published(
        source=name,
        weights=tensors,
        padding="same" if ported else "symmetric",
        mean=_three(known.get("mean", mean), config),
        std=_three(known.get("std", std), config),
        eps=1e-3 if ported or (layout == "torchvision" and third) else 1e-5,
    )


def _three(values: Any, config: Path) -> Channels:
    try:
        return msgspec.convert(values, tuple[float, float, float])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{config}: mean or std is {values!r}, not three numbers") from error


def _fetch(repository: str, name: str) -> Path:
    """A file of a repository on the hub, from the hub's cache where it is there already."""
    try:
        from huggingface_hub import errors as hub
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        # of httpx or httpx2, as the hub's package happens to use it
        from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]
    except ImportError as error:
        raise MissingPackage("huggingface_hub", "host", needed_for="downloading weights") from error
    try:
        try:
            path = Path(hf_hub_download(repository, name, local_files_only=True))
        except hub.LocalEntryNotFoundError:
            # fails at once, where the download itself tries in silence for half a minute
            get_hf_file_metadata(hf_hub_url(repository, name))
            path = Path(hf_hub_download(repository, name))
    except (hub.RepositoryNotFoundError, hub.HFValidationError) as error:
        raise CheckpointError(
            f"the hub has no repository {repository} that is open to all; see how it is written "
            "there, or give a file"
        ) from error
    except hub.RemoteEntryNotFoundError as error:
        raise CheckpointError(
            f"{repository} on the hub has no {name}; give weights in timm's layout, which has both "
            f"{' and '.join(FILES)}, or a file"
        ) from error
    except (HTTPError, OSError) as error:
        first, beside = (hf_hub_url(repository, one) for one in FILES)
        raise CheckpointError(
            f"{repository} cannot be fetched from the hub ({_line(error)}); on a machine that can, "
            f"fetch {first} and {beside} into one folder, and give --weights FOLDER/{FILES[0]} here"
        ) from error
    # the cache keeps large files under their sha256
    expected = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", expected):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != expected:
            raise CheckpointError(
                f"{path}: sha256 is {digest[:12]}…, the hub says {expected[:12]}…; "
                "the download was cut short or changed: delete it and try again"
            )
    return path


def _line(error: Exception) -> str:
    """The first line of what an error says, if it says anything."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
