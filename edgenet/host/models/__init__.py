"""MobileNets in plain torch, built from the layers that ``edgenet.architecture`` lists."""

from edgenet.host.models.layers import NORM_EPS
from edgenet.host.models.network import Network, build

__all__ = ["NORM_EPS", "Network", "build"]
