"""The folded network: the same function, the same int8 graph."""

from __future__ import annotations

import pytest
import torch
from norms import scatter
from torch import nn

from edgenet.host.models import build
from edgenet.host.models.folded import folded
from edgenet.host.quantize import Calibrator
from edgenet.spec import ModelSpec, Preprocess

# V3 has what the others have and hard-sigmoid gates; each of these is traced twice
NETWORKS = (
    "mobilenet_v3_small",
    pytest.param("mobilenet_v1", marks=pytest.mark.slow),
    pytest.param("mobilenet_v2", marks=pytest.mark.slow),
    pytest.param("mobilenet_v3_small_minimalistic", marks=pytest.mark.slow),
)


def _network(arch: str) -> tuple[nn.Module, ModelSpec]:
    spec = ModelSpec(arch, 0.35, tuple("abc"), Preprocess(32, 32))
    torch.manual_seed(0)
    network = build(spec).eval()
    scatter(network)
    return network, spec


def _constants(graph: torch.fx.GraphModule) -> list[object]:
    """Every operator with its numbers, in order: what a translation sees."""
    found: list[object] = []
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            value: object = graph
            for part in str(node.target).split("."):
                value = getattr(value, part)
            assert isinstance(value, torch.Tensor)
            found.append((value.dtype, value.detach().numpy().tobytes()))
        elif node.op == "call_function":
            numbers = [a for a in node.args if not isinstance(a, torch.fx.Node)]
            found.append((str(node.target), str(numbers)))
    return found


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.rand(4, 32, 32, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("arch", NETWORKS)
def test_a_folded_network_gives_the_same_int8_graph(arch: str, noise: torch.Tensor) -> None:
    network, spec = _network(arch)
    graphs, names = [], []
    for form in (network, folded(network)):
        calibrator = Calibrator(form, spec)
        calibrator.observe([noise])
        names.append(set(calibrator.observers))
        graphs.append(calibrator.convert())
    assert names[0] == names[1]
    assert sorted(map(str, _constants(graphs[0]))) == sorted(map(str, _constants(graphs[1])))
    with torch.no_grad():
        assert graphs[0](noise).equal(graphs[1](noise))


@pytest.mark.parametrize("arch", NETWORKS)
def test_a_folded_network_has_no_norms_and_computes_the_same(
    arch: str, noise: torch.Tensor
) -> None:
    network, _ = _network(arch)
    copy = folded(network)
    assert not [m for m in copy.modules() if isinstance(m, nn.BatchNorm2d)]
    assert set(dict(copy.named_modules())) == set(dict(network.named_modules()))
    assert all(p.requires_grad for p in copy.parameters())
    pictures = noise.permute(0, 3, 1, 2)
    with torch.no_grad():
        # float32 sums of a few hundred terms in another order
        assert torch.allclose(copy(pictures), network(pictures), atol=1e-5)


def test_folding_again_changes_nothing(noise: torch.Tensor) -> None:
    network, _ = _network("mobilenet_v3_small")
    once = folded(network)
    twice = folded(once)
    for a, b in zip(once.state_dict().values(), twice.state_dict().values(), strict=True):
        assert a.equal(b)
