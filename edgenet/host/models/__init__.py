"""MobileNets in plain torch, built from the layers that ``edgenet.architecture`` lists."""

from edgenet.host.models.network import ConvNormRelu, Network, build

__all__ = ["ConvNormRelu", "Network", "build"]
