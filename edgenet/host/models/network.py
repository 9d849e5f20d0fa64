"""One module per layer record, one network per ModelSpec."""

from __future__ import annotations

from torch import Tensor, nn

from edgenet.architecture import Layer, network
from edgenet.host.models.layers import module
from edgenet.spec import ModelSpec


class Network(nn.Module):
    """Normalized float32 pictures (N, 3, H, W) in, logits (N, classes) out.

    Each layer is the module of its own dotted name.

    Args:
        layers: as ``edgenet.architecture.network`` lists them.
        padding: of convolutions, ``same`` or ``symmetric``.
    """

    stem: nn.Module
    blocks: nn.Module
    classifier: nn.Linear

    def __init__(self, layers: tuple[Layer, ...], *, padding: str = "same") -> None:
        super().__init__()
        self.layers = layers
        self._kept = frozenset(layer.second for layer in layers if layer.second)
        for layer in layers:
            place: nn.Module = self
            *folders, last = layer.name.split(".")
            for name in folders:
                if not hasattr(place, name):
                    place.add_module(name, nn.Module())
                place = place.get_submodule(name)
            place.add_module(last, module(layer, padding=padding))

    @property
    def classes(self) -> int:
        """How many logits there are."""
        return self.classifier.out_features

    def forward(self, x: Tensor) -> Tensor:
        kept: dict[str, Tensor] = {}
        for layer in self.layers:
            step = self.get_submodule(layer.name)
            x = step(x, kept[layer.second]) if layer.second else step(x)
            if layer.name in self._kept:
                kept[layer.name] = x
        return x


def build(spec: ModelSpec, *, standard: bool = False) -> Network:
    """The network of ``spec`` with fresh weights; ``standard`` builds its twin.

    Raises:
        UsageError: the spec names no network.
    """
    layers = network(
        spec.arch,
        alpha=spec.alpha,
        classes=len(spec.labels),
        depth_multiplier=spec.depth_multiplier,
        standard=standard,
    )
    return Network(layers, padding=spec.padding)
