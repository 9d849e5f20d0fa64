"""Cross-layer equalization: channels that an activation's one scale serves badly are made larger.

Nagel et al. 2019, arXiv 1906.04721, section 4.1: dividing a channel by s where it is made and
multiplying by s where it is read changes nothing in float, since relu(s x) = s relu(x). The paper
balances the weights of the two layers. Here weights have a scale per output channel, so that those
of the first layer never matter; what is balanced is the activation's range and the next layer's
columns, in shares of the scale that each has to live with.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from edgenet.architecture import Layer
from edgenet.host.models import Network
from edgenet.host.models.layers import Convolution, Pool
from edgenet.host.remedy.candidate import Candidate, Material, observed
from edgenet.host.remedy.simulate import has_weights, weights_of

# of ReLU6's 6: pictures that calibration did not see may have somewhat larger values
MARGIN = 0.9
# a channel that is hardly ever on says little of what it can be
MOST = 64.0

Pair = tuple[Layer, Layer]


def equalize(candidate: Candidate, material: Material) -> Candidate:
    """Channels scaled so that each activation's codes are used evenly; float answers stay."""
    network = deepcopy(candidate.reference)
    assert isinstance(network, Network)
    most = channel_maxima(network, material)
    factors = {
        pair[0].name: factor
        for pair in pairs(network)
        if (factor := _factor(network, pair, most[pair[0].name])) is not None
    }
    if not factors:
        return candidate
    for first, reader in pairs(network):
        if first.name in factors:
            scale(network, first, reader, factors[first.name])
    scaled = sum(int((factor != 1).sum()) for factor in factors.values())
    channels = sum(len(factor) for factor in factors.values())
    changed = replace(
        candidate,
        reference=network,
        network=network,
        ranges=observed(network, candidate.spec, material, candidate.method),
    )
    return changed.with_remedy("equalize", f"{scaled} of {channels} channels are scaled")


def pairs(network: Network) -> list[Pair]:
    """Layers with weights whose result only one other such layer reads, a mean between or not."""
    kept = {layer.second for layer in network.layers}
    found = []
    chain = [layer for layer in network.layers if not _is_mean(network, layer, kept)]
    for first, reader in pairwise(chain):
        modules = [network.get_submodule(layer.name) for layer in (first, reader)]
        if first.name in kept or not all(map(has_weights, modules)):
            continue
        if modules[0].activation in ("none", "relu", "relu6"):
            found.append((first, reader))
    return found


def _is_mean(network: Network, layer: Layer, kept: set[str]) -> bool:
    return isinstance(network.get_submodule(layer.name), Pool) and layer.name not in kept


def channel_maxima(network: Network, material: Material) -> dict[str, Tensor]:
    """The largest magnitude of each channel of each layer with weights, (C,)."""
    found: dict[str, Tensor] = {}

    def keep(name: str, given: Tensor) -> None:
        seen = given.abs().transpose(0, 1).flatten(1).amax(1)
        found[name] = torch.maximum(found[name], seen) if name in found else seen

    handles = [
        module.register_forward_hook(lambda _m, _i, given, name=layer.name: keep(name, given))
        for layer in network.layers
        if has_weights(module := network.get_submodule(layer.name))
    ]
    with torch.no_grad():
        for done, batch in enumerate(material.batches, start=1):
            network(batch.permute(0, 3, 1, 2))
            material.progress("finding each channel's range", done, len(material.batches))
    for handle in handles:
        handle.remove()
    return found


def _factor(network: Network, pair: Pair, most: Tensor) -> Tensor | None:
    """What each channel is divided by, (C,); 1 where it must stay; None where nothing is gained."""
    first, reader = (network.get_submodule(layer.name) for layer in pair)
    limit = 6 * MARGIN if first.activation == "relu6" else float("inf")
    free = (most > 0) & (most < limit)
    if not bool(free.any()):
        return None
    whole = most.max().clamp(max=limit)
    columns = _columns(reader)
    # a depthwise layer has a scale for each channel, so that only the activation is to be balanced
    factor = most / whole if columns is None else (most / whole / columns).sqrt()
    # the largest channel of those that may move gets the whole range
    factor = factor * ((most / factor)[free].max() / whole)
    least = torch.maximum(most / limit, torch.tensor(1 / MOST))
    factor = torch.maximum(factor, least).clamp(max=MOST)
    return torch.where(free, factor, torch.ones_like(factor))


def _columns(reader: nn.Module) -> Tensor | None:
    """The largest share that a channel's weights have of their scale, (C,), up to 1."""
    if isinstance(reader, Convolution) and reader.depthwise:
        return None
    weight = weights_of(reader).weight.detach().abs()
    if weight.ndim == 2:  # linear: one scale
        share = weight / weight.max()
    else:
        share = weight.flatten(2).amax(2) / weight.flatten(1).amax(1).clamp(min=1e-12)[:, None]
    return share.amax(0).clamp(min=1 / MOST)


def scale(network: Network, first: Layer, reader: Layer, factor: Tensor) -> None:
    """Divides the channels that ``first`` makes, and multiplies what ``reader`` makes of them."""
    made, read = (weights_of(network.get_submodule(layer.name)) for layer in (first, reader))
    with torch.no_grad():
        made.weight /= factor.reshape(-1, *[1] * (made.weight.ndim - 1))
        assert made.bias is not None
        made.bias /= factor
        if isinstance(read, nn.Conv2d) and read.groups > 1:
            times = factor.repeat_interleave(len(read.weight) // len(factor))
            read.weight *= times[:, None, None, None]
        else:
            read.weight *= factor.reshape(1, -1, *[1] * (read.weight.ndim - 2))
