"""The network as devices run it: the same function, of operators that int8 engines have."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn

from edgenet.host.models.layers import Convolution
from edgenet.host.models.network import Network


def deployed(network: nn.Module) -> nn.Module:
    """The network itself, or a copy without hard-sigmoid, which no int8 format has.

    It is relu6(x + 3) / 6: the 3 goes into the bias before it, the 1 / 6 into the weights of the
    convolution that reads what the gate has scaled.
    """
    gates = [m for m in network.modules() if getattr(m, "activation", "") == "hard_sigmoid"]
    if not isinstance(network, Network) or not gates:
        return network
    network = deepcopy(network)
    with torch.no_grad():
        for layer in network.layers:
            if layer.activation == "hard_sigmoid":
                gate = network.get_submodule(layer.name)
                assert isinstance(gate, Convolution)
                assert gate.conv.bias is not None
                gate.conv.bias += 3
                gate.activation = "relu6"
        for layer, reader in pairwise(network.layers):
            if layer.kind == "multiply":
                reading = network.get_submodule(reader.name)
                assert isinstance(reading, Convolution)
                reading.conv.weight /= 6
    return network
