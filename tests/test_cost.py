"""The closed formulas against the figures of arXiv 1704.04861 and against each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.architecture import Layer, network
from edgenet.cost import PARTS, Configuration, Cost, blocks, count
from edgenet.errors import UsageError


def v1(alpha: float = 1.0, imgsz: int = 224, *, standard: bool = False) -> Cost:
    return Configuration("mobilenet_v1", alpha, imgsz, imgsz, 1000).cost(standard=standard)


def cifar(*, standard: bool = False) -> Cost:
    return Configuration("mobilenet_v1_cifar", 1.0, 32, 32, 10).cost(standard=standard)


# Tables 4, 6 and 7, in millions: multiply-adds, parameters.  The paper cuts some of its
# multiply-adds off (290.7 is printed as 290) and rounds others (568.7 as 569).
@pytest.mark.parametrize(
    ("alpha", "imgsz", "multiply_adds", "parameters"),
    [
        (1.0, 224, 569, 4.2),
        (0.75, 224, 325, 2.6),
        (0.5, 224, 149, 1.3),
        (0.25, 224, 41, 0.5),
        (1.0, 192, 418, 4.2),
        (1.0, 160, 290, 4.2),
        (1.0, 128, 186, 4.2),
    ],
)
def test_the_width_and_resolution_tables_of_the_paper(
    alpha: float, imgsz: int, multiply_adds: int, parameters: float
) -> None:
    cost = v1(alpha, imgsz)
    assert multiply_adds in (int(cost.multiply_adds / 1e6), round(cost.multiply_adds / 1e6))
    assert parameters == round(cost.parameters / 1e6, 1)


def test_the_twin_of_the_paper() -> None:
    twin = v1(standard=True)
    classifier = twin.layers[-1].multiply_adds
    assert classifier == 1_024_000
    # table 4 counts the classifier for MobileNet (569), not for its twin
    assert round((twin.multiply_adds - classifier) / 1e6) == 4866
    assert round(twin.parameters / 1e6, 1) == 29.3


def test_exact_sums_of_the_paper_network() -> None:
    cost = v1()
    assert (cost.multiply_adds, cost.parameters) == (568_740_352, 4_231_976)


def test_table_2_of_the_paper_the_shares_of_each_part() -> None:
    cost = v1()
    shares = {
        part: round(100 * cost.of(part).multiply_adds / cost.multiply_adds, 2) for part in PARTS
    }
    assert shares == {"depthwise": 3.06, "pointwise": 94.86, "rest": 2.09}
    kernels = sum(layer.kernel_weights for layer in cost.layers)
    of_kernels = {
        part: round(100 * sum(one.kernel_weights for one in cost.of(part).layers) / kernels, 2)
        for part in PARTS
    }
    assert of_kernels == {"depthwise": 1.06, "pointwise": 74.59, "rest": 24.35}


def test_exact_sums_of_the_cifar_variant() -> None:
    cost = cifar()
    assert (cost.weights, cost.parameters, cost.state) == (3_195_338, 3_217_226, 3_239_114)
    assert cifar(standard=True).weights == 28_267_370


def test_one_layer_of_256_kernels_on_a_12_by_12_picture() -> None:
    # "valid" convolution in the example: 8x8 output; an 8x8 input with SAME padding counts alike
    standard = count([Layer("conv", "conv", 3, 256, kernel=5)], 8, 8)
    separable = count(
        [Layer("d", "depthwise", 3, 3, kernel=5), Layer("p", "pointwise", 3, 256)], 8, 8
    )
    assert standard.multiply_adds == 1_228_800
    assert [layer.multiply_adds for layer in separable.layers] == [4_800, 49_152]


@given(
    channels=st.integers(1, 2048),
    outputs=st.integers(1, 2048),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
    multiplier=st.integers(1, 4),
    side=st.integers(1, 300),
)
def test_a_block_is_reduced_by_one_over_n_plus_one_over_the_kernel_area(
    channels: int, outputs: int, kernel: int, stride: int, multiplier: int, side: int
) -> None:
    spread = channels * multiplier
    layers = [
        Layer("b.depthwise", "depthwise", channels, spread, kernel, stride),
        Layer("b.pointwise", "pointwise", spread, outputs),
    ]
    (block,) = blocks(count(layers, side, side))
    assert block.name == "b"
    assert block.ratio == pytest.approx(multiplier / outputs + multiplier / kernel**2)


@given(
    alpha=st.floats(0.05, 2),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    multiplier=st.integers(1, 3),
)
def test_the_parts_add_up_to_the_whole(
    alpha: float, height: int, width: int, multiplier: int
) -> None:
    cost = Configuration("mobilenet_v1", alpha, height, width, 7, multiplier).cost()
    parts = [cost.of(part) for part in PARTS]
    assert cost.parameters == sum(part.parameters for part in parts)
    assert cost.multiply_adds == sum(part.multiply_adds for part in parts)
    assert len(cost.layers) == sum(len(part.layers) for part in parts)


def test_int8_bytes_are_one_per_kernel_weight_and_four_per_output_channel() -> None:
    cost = count(
        [
            Layer("c", "conv", 3, 8, kernel=3),
            Layer("pool", "pool", 8, 8),
            Layer("l", "linear", 8, 5),
        ],
        4,
        4,
    )
    assert [layer.int8_bytes for layer in cost.layers] == [216 + 32, 0, 40 + 20]


def test_peak_activations_are_the_largest_input_and_output_together() -> None:
    peak = v1().peak
    assert (peak.layer.name, peak.input, peak.output) == (
        "blocks.0.pointwise",
        (112, 112, 32),
        (112, 112, 64),
    )
    assert peak.activation_bytes == 112 * 112 * (32 + 64)


def test_an_odd_side_is_halved_upwards() -> None:
    stem = count(network("mobilenet_v1", alpha=1, classes=2), 33, 65).layers[0]
    assert stem.output == (17, 33, 32)


@pytest.mark.parametrize(("height", "width", "named"), [(0, 8, 0), (8, -1, -1), (4097, 8, 4097)])
def test_a_side_that_makes_no_picture_is_refused(height: int, width: int, named: int) -> None:
    with pytest.raises(UsageError, match=f"{named} pixels; it must be from 1 to 4096"):
        count([], height, width)
