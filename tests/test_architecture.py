"""Which networks there are, and that they have the parameters and multiply-adds of the papers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.architecture import ARCHITECTURES, network, parse_name
from edgenet.architecture.blocks import multiple_of_eight
from edgenet.cost import Configuration, Cost
from edgenet.errors import UsageError

SECOND = ("mobilenet_v2", "mobilenet_v2_cifar")
SQUEEZED = ("mobilenet_v3_large", "mobilenet_v3_small")
THIRD = (*SQUEEZED, "mobilenet_v3_large_minimalistic", "mobilenet_v3_small_minimalistic")


def cost(arch: str, alpha: float = 1.0, side: int = 224, classes: int = 1000) -> Cost:
    return Configuration(arch, alpha, side, side, classes).cost()


# exact numbers of the published networks' own code (timm 1.0.31, torchvision 0.29.2)
@pytest.mark.parametrize(
    ("arch", "alpha", "parameters"),
    [
        ("mobilenet_v2", 0.35, 1_677_128),
        ("mobilenet_v2", 0.5, 1_968_680),
        ("mobilenet_v2", 0.75, 2_636_424),
        ("mobilenet_v2", 1.0, 3_504_872),
        ("mobilenet_v2", 1.4, 6_108_776),
        ("mobilenet_v3_large", 0.75, 3_993_528),
        ("mobilenet_v3_large", 1.0, 5_483_032),
        ("mobilenet_v3_small", 0.5, 1_593_224),
        ("mobilenet_v3_small", 0.75, 2_041_872),
        ("mobilenet_v3_small", 1.0, 2_542_856),
        ("mobilenet_v3_large_minimalistic", 1.0, 3_924_288),
        ("mobilenet_v3_small_minimalistic", 1.0, 2_044_736),
    ],
)
def test_parameters_are_those_of_the_published_networks(
    arch: str, alpha: float, parameters: int
) -> None:
    assert cost(arch, alpha).parameters == parameters


# Millions, as arXiv 1801.04381 tables 4 and 5, the reference code's table of V2, and arXiv
# 1905.02244 table 3 print them; V2 1.4 is 585 in the paper and 582 in the table.
@pytest.mark.parametrize(
    ("arch", "alpha", "side", "multiply_adds"),
    [
        ("mobilenet_v2", 1.4, 224, 582),
        ("mobilenet_v2", 1.3, 224, 509),
        ("mobilenet_v2", 1.0, 224, 300),
        ("mobilenet_v2", 1.0, 192, 221),
        ("mobilenet_v2", 1.0, 160, 154),
        ("mobilenet_v2", 1.0, 128, 99),
        ("mobilenet_v2", 1.0, 96, 56),
        ("mobilenet_v2", 0.75, 224, 209),
        ("mobilenet_v2", 0.75, 160, 107),
        ("mobilenet_v2", 0.5, 224, 97),
        ("mobilenet_v2", 0.5, 128, 32),
        ("mobilenet_v2", 0.35, 224, 59),
        ("mobilenet_v2", 0.35, 96, 11),
        ("mobilenet_v3_large", 1.0, 224, 217),
        ("mobilenet_v3_large", 0.75, 224, 155),
        ("mobilenet_v3_small", 1.0, 224, 56),
        ("mobilenet_v3_large_minimalistic", 1.0, 224, 209),
    ],
)
def test_multiply_adds_are_those_of_the_papers(
    arch: str, alpha: float, side: int, multiply_adds: int
) -> None:
    """Each within one million: the tables cut some off and round others."""
    assert cost(arch, alpha, side).multiply_adds / 1e6 == pytest.approx(multiply_adds, abs=1)


def test_the_small_ones_are_below_the_reference_table_by_the_same_amount() -> None:
    """It counts 66 and 65 million where the paper has 56; what it adds is not in the network."""
    for arch, printed in (("mobilenet_v3_small", 66), ("mobilenet_v3_small_minimalistic", 65)):
        assert 8 < printed - cost(arch).multiply_adds / 1e6 < 13


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(11.2, 16), (8.4, 8), (18, 24), (33.6, 32), (44.8, 48), (22.4, 24), (0.1, 8), (1792, 1792)],
)
def test_channels_are_rounded_to_eight_but_never_down_by_a_tenth(
    channels: float, rounded: int
) -> None:
    assert multiple_of_eight(channels) == rounded


@given(st.floats(0.01, 5000))
def test_rounded_channels_are_multiples_of_eight_near_what_was_asked_for(channels: float) -> None:
    found = multiple_of_eight(channels)
    assert found % 8 == 0
    assert 0.9 * channels <= found <= max(8, channels + 8)


def test_what_decides_between_classes_grows_with_alpha_but_does_not_shrink() -> None:
    for arch, full in (("mobilenet_v2", 1280), ("mobilenet_v3_large", 1280)):
        widths = [network(arch, alpha=a, classes=5)[-1].inputs for a in (0.35, 1.0, 1.4)]
        assert widths == [full, full, 1792]


def test_the_stem_of_the_third_keeps_its_width_below_three_quarters() -> None:
    widths = [network("mobilenet_v3_small", alpha=a, classes=5)[0].outputs for a in (0.25, 0.5)]
    assert widths == [16, 16]
    assert network("mobilenet_v2", alpha=0.35, classes=5)[0].outputs == 16
    assert network("mobilenet_v1", alpha=0.25, classes=5)[0].outputs == 8


@pytest.mark.parametrize("arch", SECOND + THIRD)
@pytest.mark.parametrize("alpha", [0.01, 0.35, 1.0, 1.4, 4.0])
def test_layers_fit_together_at_every_alpha(arch: str, alpha: float) -> None:
    layers = network(arch, alpha=alpha, classes=3, depth_multiplier=2)
    given = {layer.name: layer.outputs for layer in layers}
    assert len(given) == len(layers), "a name is there twice"
    assert layers[0].inputs == 3
    for before, layer in pairwise(layers):
        assert layer.inputs == before.outputs, layer.name
        if layer.second:
            assert given[layer.second] == layer.outputs, layer.name


def test_a_sum_is_where_stride_and_width_allow_it() -> None:
    sums = [
        layer.name for layer in network("mobilenet_v2", alpha=1, classes=2) if layer.kind == "add"
    ]
    assert sums == [f"blocks.{i}.add" for i in (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)]


def test_the_minimalistic_ones_hold_nothing_that_a_small_device_lacks() -> None:
    for arch in THIRD[2:]:
        layers = network(arch, alpha=1, classes=2)
        assert {layer.kind for layer in layers} == {
            "conv", "depthwise", "pointwise", "linear", "pool", "add",
        }  # fmt: skip
        assert {layer.kernel for layer in layers} == {1, 3}
        assert {layer.activation for layer in layers} == {"none", "relu"}


def test_the_third_squeezes_and_has_hard_swish_where_its_tables_say() -> None:
    large, small = (network(arch, alpha=1, classes=2) for arch in SQUEEZED)
    for layers, squeezed, swishes in ((large, 8, 21), (small, 9, 19)):
        kinds = [layer.kind for layer in layers]
        assert (kinds.count("multiply"), kinds.count("hard_swish")) == (squeezed, swishes)


@pytest.mark.parametrize("arch", ["mobilenet_v2", "mobilenet_v3_small"])
@pytest.mark.parametrize("side", [1, 31, 33, 224])
def test_every_side_is_halved_upwards_five_times(arch: str, side: int) -> None:
    last = next(one for one in cost(arch, side=side).layers if one.layer.name == "pool")
    assert last.input[0] == -(-side // 32)


def test_the_small_pictures_variant_starts_with_stride_1() -> None:
    large, small = ARCHITECTURES["mobilenet_v2"], ARCHITECTURES["mobilenet_v2_cifar"]
    assert (small.imgsz, small.classes, small.stem_stride) == (32, 10, 1)
    assert (large.imgsz, large.classes, large.stem_stride) == (224, 1000, 2)
    pool = next(o for o in cost("mobilenet_v2_cifar", side=32).layers if o.layer.kind == "pool")
    assert pool.input == (2, 2, 1280)


def test_a_residual_input_and_what_is_squeezed_are_alive_until_they_are_read() -> None:
    layers = {one.layer.name: one for one in cost("mobilenet_v3_small").layers}
    # block 4: 14x14x40 in, 240 channels between, squeezed, 40 out
    size = 14 * 14
    assert layers["blocks.4.expand"].activation_bytes == size * (40 + 240)
    assert layers["blocks.4.depthwise"].activation_bytes == size * (240 + 240 + 40)
    assert layers["blocks.4.squeeze.reduce"].activation_bytes == 240 + 64 + size * (240 + 40)
    assert layers["blocks.4.squeeze.scale"].output == (14, 14, 240)
    assert layers["blocks.4.squeeze.scale"].activation_bytes == 240 + size * (240 + 240 + 40)
    assert layers["blocks.4.add"].activation_bytes == size * (40 + 40 + 40)
    assert layers["blocks.6.expand"].held == 0  # block 5's sum has been read


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_name_picks_family_alpha_and_side(arch: str) -> None:
    assert parse_name(f"{arch}_0.75_160") == (arch, 0.75, 160)
    assert parse_name(f"{arch}_0.75") == (arch, 0.75, None)
    assert parse_name(arch) == (arch, None, None)


@pytest.mark.parametrize("name", ["mobilenet_v4", "mobilenet_v3", "mobilenet_v2_large_1.0_224", ""])
def test_an_unknown_name_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(UsageError, match="no architecture") as refused:
        parse_name(name)
    assert all(arch in str(refused.value) for arch in ARCHITECTURES)
    with pytest.raises(UsageError, match="no architecture"):
        network(name, alpha=1, classes=2)


@pytest.mark.parametrize("arch", ["mobilenet_v2", "mobilenet_v3_small"])
def test_numbers_that_make_no_network_are_refused(arch: str) -> None:
    for alpha in (0.0, -1.0, 4.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="it must be above 0 and at most 4"):
            network(arch, alpha=alpha, classes=2)
    for numbers in ({"classes": 0}, {"classes": 2, "depth_multiplier": 0}):
        with pytest.raises(UsageError, match="both must be at least 1"):
            network(arch, alpha=1, **numbers)
