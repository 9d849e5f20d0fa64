"""The closed formulas against what torch counts in the network it runs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from edgenet.cost import Configuration  # noqa: E402
from edgenet.host.models import build  # noqa: E402
from edgenet.spec import ModelSpec, Preprocess  # noqa: E402

pytestmark = pytest.mark.torch


NIGHTLY = (pytest.mark.slow, pytest.mark.nightly)


@pytest.mark.parametrize("standard", [False, True], ids=["separable", "standard"])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize(
    "configuration",
    [
        Configuration("mobilenet_v1", 1.0, 224, 224, 1000),
        Configuration("mobilenet_v1", 0.5, 128, 128, 10),
        Configuration("mobilenet_v1", 0.33, 65, 33, 7),
        Configuration("mobilenet_v1", 0.25, 96, 160, 2, depth_multiplier=2),
        Configuration("mobilenet_v1_cifar", 1.0, 32, 32, 10),
        Configuration("mobilenet_v1_cifar", 0.75, 17, 20, 100, depth_multiplier=3),
        Configuration("mobilenet_v2", 1.0, 224, 224, 1000),
        pytest.param(Configuration("mobilenet_v2", 1.4, 224, 224, 1000), marks=NIGHTLY),
        pytest.param(
            Configuration("mobilenet_v2", 0.35, 65, 33, 7, depth_multiplier=2),
            marks=NIGHTLY,
        ),
        Configuration("mobilenet_v2_cifar", 0.5, 32, 32, 10),
        pytest.param(Configuration("mobilenet_v3_large", 1.0, 224, 224, 1000), marks=NIGHTLY),
        Configuration("mobilenet_v3_small", 0.75, 65, 33, 7),
        pytest.param(
            Configuration("mobilenet_v3_large_minimalistic", 1.0, 224, 224, 1000),
            marks=NIGHTLY,
        ),
        pytest.param(
            Configuration("mobilenet_v3_small_minimalistic", 0.35, 96, 160, 2),
            marks=NIGHTLY,
        ),
    ],
    ids=lambda c: f"{c.arch}-{c.alpha}-{c.height}x{c.width}-{c.depth_multiplier}",
)
def test_torch_counts_the_same_in_every_layer(
    configuration: Configuration, padding: str, standard: bool
) -> None:
    c = configuration
    labels = tuple(map(str, range(c.classes)))
    spec = ModelSpec(
        c.arch, c.alpha, labels, Preprocess(c.height, c.width), c.depth_multiplier, padding
    )
    with torch.device("meta"):
        model = build(spec, standard=standard).eval()
        shapes = watch_shapes(model)
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, c.height, c.width))
    flops = {
        name.partition(".")[2]: sum(operators.values())
        for name, operators in counter.get_flop_counts().items()
    }
    cost = c.cost(standard=standard)

    assert 2 * cost.multiply_adds == counter.get_total_flops()
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    # num_batches_tracked is a counter, not a statistic
    buffers = [b.numel() for name, b in model.named_buffers() if not name.endswith("tracked")]
    assert cost.state == cost.parameters + sum(buffers)
    for layer in cost.layers:
        name, (height, width, channels) = layer.layer.name, layer.output
        assert 2 * layer.multiply_adds == flops.get(name, 0), name
        module = model.get_submodule(name)
        assert layer.parameters == sum(p.numel() for p in module.parameters()), name
        assert shapes[name] == (channels, height, width)[: len(shapes[name])], name


def watch_shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Fills, while the model runs, with each module's output shape less the batch."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _, __, output, name=name: shapes.__setitem__(name, tuple(output.shape[1:]))
        )
    return shapes
