"""int8's rounding in training: the same scales, the same sharing, nearly the same codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from norms import scatter
from torch.fx import GraphModule, Node

from edgenet.host.fakequant import Activation, FakeQuantized, Weight
from edgenet.host.integer import IntegerGraph
from edgenet.host.models import Network, build
from edgenet.host.models.folded import folded
from edgenet.host.quantize import Calibrator, quantized
from edgenet.host.quantizer import PRODUCERS, layer_name
from edgenet.spec import ModelSpec, Preprocess

SPEC = ModelSpec("mobilenet_v2", 0.35, tuple("abc"), Preprocess(32, 32))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = build(SPEC).eval()
    scatter(network)
    return network


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def prepared(network: Network, noise: torch.Tensor) -> FakeQuantized:
    made = FakeQuantized(network, SPEC)
    made.observe([noise])
    return made.eval()


@pytest.fixture
def fresh(prepared: FakeQuantized) -> Iterator[FakeQuantized]:
    state = {name: tensor.clone() for name, tensor in prepared.state_dict().items()}
    yield prepared
    prepared.load_state_dict(state)
    prepared.eval()


@pytest.fixture(scope="module")
def calibrator(prepared: FakeQuantized, network: Network) -> Calibrator:
    other = folded(network)
    other.load_state_dict(prepared.weights())
    made = Calibrator(other, SPEC)
    made.apply(prepared.ranges())
    return made


class Following(IntegerGraph):
    """The int8 graph, where each layer is given what the layers before it gave in training.

    Attributes:
        trained: what each layer gave there, by its name.
        away: how many codes each layer is away from it, at most.
    """

    def __init__(self, graph: GraphModule, trained: dict[str, torch.Tensor]) -> None:
        super().__init__(graph)
        self.trained = trained
        self.away: dict[str, float] = {}

    def run_node(self, node: Node) -> Any:
        found = super().run_node(node)
        source = node.args[0] if node.args else None
        if node.target != quantized.quantize_per_tensor.default or not isinstance(source, Node):
            return found
        name = layer_name(source) if source.target in PRODUCERS else ""
        if name not in self.trained:
            return found
        codes = (self.trained[name] / found.scale).double().round()
        self.away[name] = float((found.values - codes).abs().max())
        return replace(found, values=codes)


def test_scales_and_zero_points_are_those_of_the_int8_graph(
    prepared: FakeQuantized, calibrator: Calibrator
) -> None:
    assert calibrator.observers.keys() == prepared.activations.keys()
    for name, activation in prepared.activations.items():
        scale, zero_point = calibrator.observers[name].calculate_qparams()
        assert activation.calculate_qparams() == (float(scale), int(zero_point)), name


def test_each_layer_gives_the_codes_of_the_int8_graph_or_their_neighbours(
    prepared: FakeQuantized, calibrator: Calibrator, noise: torch.Tensor
) -> None:
    given: dict[Activation, list[torch.Tensor]] = defaultdict(list)
    hooks = [
        module.register_forward_hook(lambda m, _, out: given[m].append(out))
        for module in set(prepared.activations.values())
    ]
    with torch.no_grad():
        prepared(noise)
    for hook in hooks:
        hook.remove()
    # those of a residual sum share a module, which is called in the order of the layers
    trained = {name: given[module].pop(0) for name, module in prepared.activations.items()}
    graph = Following(calibrator.convert(), trained)
    graph.logits(noise.permute(0, 2, 3, 1))
    assert graph.away.keys() == trained.keys()
    # a float sum near the middle between two codes may take the other one
    assert max(graph.away.values()) <= 1


def test_what_a_residual_sum_adds_and_gives_shares_one_range(prepared: FakeQuantized) -> None:
    sums = [name for name in prepared.activations if name.endswith(".add")]
    assert sums
    for name in sums:
        sharing = [n for n, a in prepared.activations.items() if a is prepared.activations[name]]
        assert len(sharing) >= 2, name


def test_the_range_of_a_relu_begins_at_zero(prepared: FakeQuantized) -> None:
    """Zero point -128 is what lets the conversion leave the clamp out."""
    zero_points = {
        name: activation.calculate_qparams()[1] for name, activation in prepared.activations.items()
    }
    assert zero_points["stem"] == -128
    assert zero_points["classifier"] != -128


def test_a_range_moves_by_its_share_and_sees_every_tensor_that_has_it() -> None:
    activation = Activation()
    activation.train()
    activation(torch.tensor([0.0, 2.0]))
    activation.settle(1.0)
    assert (float(activation.low), float(activation.high)) == (0.0, 2.0)
    activation(torch.tensor([-1.0, 1.0]))
    activation(torch.tensor([0.5, 6.0]))
    activation.settle(0.25)
    assert (float(activation.low), float(activation.high)) == (-0.25, 3.0)
    activation.settle(0.25)  # nothing was seen since
    assert (float(activation.low), float(activation.high)) == (-0.25, 3.0)


def test_evaluation_moves_no_range(fresh: FakeQuantized, noise: torch.Tensor) -> None:
    before = fresh.ranges()
    with torch.no_grad():
        fresh.eval()(3 * noise)
    fresh.settle(0.5)
    assert fresh.ranges() == before
    with torch.no_grad():
        fresh.train()(3 * noise)
    fresh.settle(0.5)
    assert fresh.ranges() != before


def test_a_gradient_passes_where_the_range_is_not_left() -> None:
    activation = Activation()
    activation.train()
    activation(torch.tensor([0.0, 255.0]))
    activation.settle(1.0)
    x = torch.tensor([-3.0, 0.4, 7.6, 300.0], requires_grad=True)
    y = activation(x)
    assert y.tolist() == [0.0, 0.0, 8.0, 255.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_weights_have_127_codes_either_way_and_a_scale_per_channel() -> None:
    weight = torch.tensor([[1.27, 0.013], [12.7, -0.06]], requires_grad=True)
    rounded = Weight(qscheme=torch.per_channel_symmetric)(weight)
    # float32: the weight and what rounding moves it by are added
    assert torch.allclose(rounded, torch.tensor([[1.27, 0.01], [12.7, -0.1]]), atol=1e-6)
    rounded.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    together = Weight(qscheme=torch.per_tensor_symmetric)(weight.detach())
    assert torch.allclose(together, torch.tensor([[1.3, 0.0], [12.7, -0.1]]), atol=1e-6)


@pytest.mark.slow
def test_layers_that_stay_float_are_not_rounded(network: Network, noise: torch.Tensor) -> None:
    kept = FakeQuantized(network, SPEC, keep_float=("stem",))
    calibrator = Calibrator(network, SPEC, keep_float=("stem",))
    assert kept.activations.keys() == calibrator.observers.keys()
    weights = [m for m in kept.graph.modules() if isinstance(m, Weight)]
    assert len(weights) == sum(1 for p in kept.parameters() if p.ndim > 1) - 1


def test_a_state_brings_its_scales_along(fresh: FakeQuantized, noise: torch.Tensor) -> None:
    state = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    with torch.no_grad():
        expected = fresh(noise)
        fresh.train()(3 * noise)
        fresh.settle(0.5)
        fresh.eval()
        assert not fresh(noise).equal(expected)
        fresh.load_state_dict(state)
        assert fresh(noise).equal(expected)
