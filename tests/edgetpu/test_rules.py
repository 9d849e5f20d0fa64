"""Each documented rule of the Edge TPU, kept and broken."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from coral import channel_max, compiled
from sketch import Sketch, model_of

from edgenet import tflite
from edgenet.edgetpu import check
from edgenet.edgetpu.check import CACHE, LEAST_CACHE, partition
from edgenet.edgetpu.rules import SUPPORTED, VERSIONS
from edgenet.errors import GraphError
from edgenet.tflite.schema import BUILTIN_OPERATORS

Q = {"scale": 0.5, "zero_point": 0}


def one(name, takes, gives, constants=(), *, options=None, dtype="int8", **quantization):
    """A model of one operator, whose constants follow its input."""
    draw = Sketch()
    quantization = quantization or Q
    x = draw.tensor(takes, dtype=dtype, **quantization)
    others = [
        draw.constant(np.asarray(c[0], c[1]), **(c[2] if len(c) > 2 else {})) for c in constants
    ]
    y = draw.tensor(gives, dtype=dtype, **quantization)
    draw.operator(name, [x, *others], y, **options or {})
    return draw.model([x], [y])


def rule(model, place=0):
    return check(model).operators[place].rule


def weights(*shape, dtype=np.int8):
    return (np.ones(shape, dtype), dtype, {"scale": 0.1})


def index(*values):
    return (values, np.int32)


NONE = {"fused_activation_function": "NONE"}
FUSED = {"fused_activation_function": "RELU"}

KEPT = {
    "CONV_2D": one("CONV_2D", (1, 8, 8, 4), (1, 8, 8, 4), [weights(4, 3, 3, 4)]),
    "dilated CONV_2D": one(
        "CONV_2D", (1, 8, 8, 4), (1, 8, 8, 4), [weights(4, 3, 3, 4)],
        options={"dilation_w_factor": 2, "dilation_h_factor": 2},
    ),
    "uint8": one("ADD", (1, 8, 8, 4), (1, 8, 8, 4), [weights(4, dtype=np.uint8)], dtype="uint8"),
    "AVERAGE_POOL_2D": one("AVERAGE_POOL_2D", (1, 8, 8, 4), (1, 1, 1, 4), options=NONE),
    "FULLY_CONNECTED": one("FULLY_CONNECTED", (1, 8), (1, 4), [weights(4, 8)]),
    "MEAN": one("MEAN", (1, 8, 8, 3), (1, 3), [index(1, 2)]),
    "MEAN over z": one("MEAN", (1, 8, 8, 4), (1, 8, 8), [index(-1)]),
    "PAD": one("PAD", (1, 8, 8, 4), (1, 9, 9, 4), [((((0, 0), (0, 1), (0, 1), (0, 0))), np.int32)]),
    "SOFTMAX": one("SOFTMAX", (1, 16_000), (1, 16_000)),
    "PRELU": one("PRELU", (1, 8, 8, 4), (1, 8, 8, 4), [weights(1, 1, 4)]),
    "STRIDED_SLICE": one(
        "STRIDED_SLICE", (1, 8, 8, 4), (1, 4, 4, 4),
        [index(0, 0, 0, 0), index(1, 4, 4, 4), index(1, 1, 1, 1)],
    ),
    "CONCATENATION with zeros": one(
        "CONCATENATION", (1, 2, 2, 4), (1, 2, 2, 8), [(np.zeros((1, 2, 2, 4)), np.int8, Q)],
        options=NONE,
    ),
    "SPLIT": one("RESHAPE", (1, 2, 2, 4), (1, 16), [index(1, 16)]),
    "RESIZE_BILINEAR": one("RESIZE_BILINEAR", (1, 8, 8, 4), (1, 16, 16, 4), [index(16, 16)]),
    "SUM": one("SUM", (1, 8, 8, 4), (1, 4), [index(1, 2)]),
    "PACK": one("PACK", (8, 8), (8, 8, 2), options={"axis": 0}),
    "five dimensions, two of 1": one("RESHAPE", (1, 1, 2, 2, 4), (1, 1, 2, 4, 2)),
}  # fmt: skip

BROKEN = {
    "batch of 2": (
        one("CONV_2D", (2, 8, 8, 4), (2, 8, 8, 4), [weights(4, 3, 3, 4)]),
        "tensor 0 't0' is 2x8x8x4, of more than three dimensions; only a batch of 1 is mapped",
    ),
    "float": (
        one("CONV_2D", (1, 8, 8, 4), (1, 8, 8, 4), [weights(4, 3, 3, 4)], dtype="float32"),
        "tensor 0 't0' is float32, not int8 or uint8",
    ),
    "int16": (
        one("ADD", (1, 8), (1, 8), [weights(8)], dtype="int16", **Q),
        "tensor 0 't0' is int16, not int8 or uint8",
    ),
    "no scale": (one("RELU", (1, 8), (1, 8), scale=()), "tensor 0 't0' is int8 without a scale"),
    "float weights": (
        one("CONV_2D", (1, 8, 8, 4), (1, 8, 8, 4), [(np.ones((4, 3, 3, 4)), np.float32)]),
        "the constant tensor 1 't1' is float32, not int8, uint8 or int32",
    ),
    "HARD_SWISH": (
        one("HARD_SWISH", (1, 8), (1, 8)),
        "the Edge TPU has no operator HARD_SWISH; use a network with ReLU6, such as MobileNetV3 "
        "minimalistic",
    ),
    "pool with activation": (
        one("MAX_POOL_2D", (1, 8, 8, 4), (1, 1, 1, 4), options=FUSED),
        "it has the activation RELU fused into it",
    ),
    "uneven dilation": (
        one(
            "DEPTHWISE_CONV_2D", (1, 8, 8, 4), (1, 8, 8, 4), [weights(1, 3, 3, 4)],
            options={"dilation_w_factor": 2, "dilation_h_factor": 1},
        ),
        "its dilation is 2 in x and 1 in y; both must be the same",
    ),
    "shuffled weights": (
        one(
            "FULLY_CONNECTED", (1, 8), (1, 4), [weights(4, 8)],
            options={"weights_format": "SHUFFLED4x16INT8"},
        ),
        "its weights have the format SHUFFLED4x16INT8, not DEFAULT",
    ),
    "fully connected rows": (
        one("FULLY_CONNECTED", (3, 8), (3, 4), [weights(4, 8)]),
        "its output is 3x4, not one-dimensional",
    ),
    "mean over the batch": (
        one("MEAN", (1, 8, 8, 4), (8, 8, 4), [index(0)]), "it reduces over the batch",
    ),
    "mean over 3 of z": (
        one("MEAN", (1, 8, 8, 3), (1, 8, 8), [index(3)]),
        "it reduces over z, whose 3 values are no multiple of 4",
    ),
    "largest of the batch": (
        one("REDUCE_MAX", (1, 8, 8, 4), (8, 8, 4), [index(-4)]), "it reduces over the batch",
    ),
    "pad the batch": (
        one("PAD", (1, 8, 8, 4), (1, 8, 8, 4), [(((0, 1), (0, 0), (0, 0), (0, 0)), np.int32)]),
        "it pads the batch",
    ),
    "pack along the batch": (
        one("PACK", (8, 8, 4), (1, 8, 8, 4), options={"axis": 0}), "it packs along the batch",
    ),
    "wide softmax": (
        one("SOFTMAX", (1, 16_001), (1, 16_001)), "it has 16001 values, more than 16000",
    ),
    "softmax of rows": (
        one("SOFTMAX", (1, 4, 4), (1, 4, 4)), "its input is 1x4x4, not one-dimensional",
    ),
    "alpha of a plane": (
        one("PRELU", (1, 8, 8, 4), (1, 8, 8, 4), [weights(8, 8, 4)]),
        "its alpha is 8x8x4, not one value a channel",
    ),
    "stride of 2": (
        one(
            "STRIDED_SLICE", (1, 8, 8, 4), (1, 4, 4, 4),
            [index(0, 0, 0, 0), index(1, 8, 8, 4), index(1, 2, 2, 1)],
        ),
        "its strides are 1, 2, 2, 1; all must be 1",
    ),
    "ellipsis": (
        one(
            "STRIDED_SLICE", (1, 8, 8, 4), (1, 8, 8, 4), [index(0), index(1), index(1)],
            options={"ellipsis_mask": 1},
        ),
        "its ellipsis_mask is 1; it must be 0",
    ),
    "concatenation with ones": (
        one(
            "CONCATENATION", (1, 2, 2, 4), (1, 2, 2, 8), [(np.ones((1, 2, 2, 4)), np.int8, Q)],
            options=NONE,
        ),
        "it joins the constant tensor 1 't1', which is not all zero",
    ),
    "concatenation of three with a constant": (
        one(
            "CONCATENATION", (1, 4), (1, 12), [(np.zeros((1, 4)), np.int8, Q)] * 2, options=NONE
        ),
        "it joins the constant tensor 1 't1' with 2 others, not 1",
    ),
    "resize of a vector": (
        one("RESIZE_BILINEAR", (8, 4), (8, 4), [index(8, 4)]),
        "its input is 8x4, not three-dimensional",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_operator_that_keeps_the_rules_is_mapped(name):
    verdict = check(KEPT[name])
    assert (verdict.operators[0].status, verdict.operators[0].rule) == ("mapped", "")
    assert verdict.whole


@pytest.mark.parametrize("name", BROKEN)
def test_operator_that_breaks_a_rule_is_named_with_it(name):
    model, words = BROKEN[name]
    verdict = check(model)
    assert (verdict.operators[0].status, verdict.operators[0].rule) == ("cpu", words)
    assert (verdict.subgraphs, verdict.whole) == (0, False)


def split(axis):
    draw = Sketch()
    place = draw.constant(np.array(axis, np.int32))
    x, y = draw.tensor((1, 8, 8, 4), **Q), draw.tensor((1, 8, 8, 4), **Q)
    draw.operator("SPLIT", [place, x], y, num_splits=1)
    return draw.model([x], [y])


def test_split_of_the_batch_stays_on_the_cpu():
    assert rule(split(0)) == rule(split(-4)) == "it splits the batch"
    assert rule(split(3)) == ""


def test_parameters_must_be_constant():
    draw = Sketch()
    x, w, y = (draw.tensor(shape, **Q) for shape in ((1, 8), (4, 8), (1, 4)))
    draw.operator("FULLY_CONNECTED", [x, w], y)
    words = rule(draw.model([x, w], [y]))
    assert words == "its parameter, tensor 1 't1', is computed, not a constant"


def test_sizes_must_be_fixed():
    model = one("RELU", (1, 8), (1, 8))
    (graph,) = model.subgraphs
    first = dataclasses.replace(graph.tensors[0], shape_signature=(-1, 8))
    graph = dataclasses.replace(graph, tensors=(first, *graph.tensors[1:]))
    words = rule(model_of([graph]))
    assert words == "the size of tensor 0 't0' is not fixed: -1x8"


def chain(*names):
    """Operators one after another; RELU is mapped, GELU is not."""
    draw = Sketch()
    takes = at = draw.tensor((1, 8), **Q)
    for name in names:
        at = draw.operator(name, [at], draw.tensor((1, 8), **Q))
    return draw.model([takes], [at])


@pytest.mark.parametrize(
    ("names", "statuses", "subgraphs", "possible"),
    [
        ("RELU RELU", "mapped mapped", 1, 1),
        ("RELU GELU RELU", "mapped cpu later", 1, 2),
        ("GELU RELU RELU", "cpu mapped mapped", 1, 1),
        ("GELU", "cpu", 0, 0),
        ("GELU RELU GELU RELU GELU", "cpu mapped cpu later cpu", 1, 2),
    ],
)
def test_compiler_makes_the_first_part_alone(names, statuses, subgraphs, possible):
    verdict = check(chain(*names.split()))
    assert [one.status for one in verdict.operators] == statuses.split()
    assert (verdict.subgraphs, verdict.possible) == (subgraphs, possible)


def test_branches_that_need_nothing_of_the_cpu_are_one_part():
    """A delegate's parts follow what is ready, not the order of the file."""
    draw = Sketch()
    x = draw.tensor((1, 8), **Q)
    a = draw.operator("GELU", [x], draw.tensor((1, 8), **Q))
    b = draw.operator("RELU", [x], draw.tensor((1, 8), **Q))
    c = draw.operator("RELU6", [b], draw.tensor((1, 8), **Q))
    y = draw.operator("ADD", [a, c], draw.tensor((1, 8), **Q))
    model = draw.model([x], [y])
    assert partition(model.subgraphs[0], [False, True, True, True]) == [[0], [1, 2, 3]]


def test_operators_in_the_wrong_order_are_refused():
    model = chain("RELU", "RELU6")
    (graph,) = model.subgraphs
    first, second = graph.operators
    loop = dataclasses.replace(first, inputs=second.outputs)
    with pytest.raises(GraphError, match="operator 0 waits for a tensor that comes after it"):
        check(model_of([dataclasses.replace(graph, operators=(loop, second))]))


@pytest.mark.parametrize(
    ("size", "fits"), [(LEAST_CACHE, "yes"), (LEAST_CACHE + 1, "maybe"), (CACHE + 10, "no")]
)
def test_parameters_fit_the_cache_or_are_streamed(size, fits):
    model = one("FULLY_CONNECTED", (1, size), (1, 1), [weights(1, size)])
    memory = check(model).memory
    assert (memory.parameters, memory.fits) == (size, fits)
    assert memory.streamed == max(0, size - CACHE)
    assert memory.streamed_most == max(0, size - LEAST_CACHE)


def test_axes_and_sizes_are_no_parameters():
    assert check(KEPT["MEAN"]).memory.parameters == 0


def test_parameters_of_the_cpu_take_no_cache():
    draw = Sketch()
    takes = draw.tensor((1, 8), **Q)
    at = draw.operator("GELU", [takes], draw.tensor((1, 8), **Q))
    at = draw.weighted(
        "FULLY_CONNECTED", at, np.ones((4, 8), np.int8), np.zeros(4, np.int32),
        draw.tensor((1, 4), **Q), weight_scale=[0.1],
    )  # fmt: skip
    at = draw.operator("GELU", [at], draw.tensor((1, 4), **Q))
    y = draw.weighted(
        "FULLY_CONNECTED", at, np.ones((400, 4), np.int8), None, draw.tensor((1, 400), **Q),
        weight_scale=[0.1],
    )  # fmt: skip
    assert check(draw.model([takes], [y])).memory.parameters == 4 * 8 + 4 * 4


def test_version_that_the_compiler_does_not_know_refuses_the_model():
    model = one("CONV_2D", (1, 8, 8, 4), (1, 8, 8, 4), [weights(4, 3, 3, 4)])
    (graph,) = model.subgraphs
    newer = dataclasses.replace(graph.operators[0], version=6)
    verdict = check(model_of([dataclasses.replace(graph, operators=(newer,))]))
    assert verdict.refused == "CONV_2D has version 6; compiler 16.0 reads up to 5"
    assert not verdict.whole


def test_model_of_several_subgraphs_is_refused():
    (graph,) = one("RELU", (1, 8), (1, 8)).subgraphs
    verdict = check(model_of([graph, graph]))
    assert verdict.refused == "it has 2 subgraphs; the compiler takes models with one"


def test_model_without_operators_is_refused():
    (graph,) = one("RELU", (1, 8), (1, 8)).subgraphs
    with pytest.raises(GraphError, match="sketch has no operator"):
        check(model_of([dataclasses.replace(graph, operators=())]))


def test_custom_operator_is_not_mapped():
    model = tflite.read(compiled(channel_max()), "model")
    (graph,) = model.subgraphs
    other = dataclasses.replace(graph.operators[0], name="TFLite_Detection_PostProcess")
    words = rule(model_of([dataclasses.replace(graph, operators=(other,))]))
    assert words == "the Edge TPU has no operator TFLite_Detection_PostProcess"


def test_compiled_model_is_recognised():
    verdict = check(tflite.read(compiled(channel_max()), "model"))
    assert [one.status for one in verdict.operators] == ["compiled"]
    assert verdict.refused == "it is compiled already"
    assert len(verdict.compiled) == 1


def test_tables_name_operators_of_the_format():
    assert set(SUPPORTED) <= set(BUILTIN_OPERATORS)
    assert set(VERSIONS) <= set(BUILTIN_OPERATORS)


def test_verdict_survives_json():
    verdict = check(chain("RELU", "GELU", "RELU"))
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=type(verdict)) == verdict
