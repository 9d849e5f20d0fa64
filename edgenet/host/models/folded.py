"""The network as int8 is made of it: every batch norm folded into its convolution."""

from __future__ import annotations

from copy import deepcopy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgenet.host.models.deployed import deployed
from edgenet.host.models.layers import Convolution


def folded(network: nn.Module) -> nn.Module:
    """A copy of ``deployed(network)`` in evaluation mode, without batch norms.

    Modules keep their names: a convolution gains a bias, its norm is an ``nn.Identity``. The fold
    is that of PT2E, so quantizing the copy gives what quantizing the network gives, bit for bit.
    Folding a folded network gives an equal copy.
    """
    network = deepcopy(deployed(network)).eval()
    for module in network.modules():
        if isinstance(module, Convolution) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    return network.requires_grad_(True)
