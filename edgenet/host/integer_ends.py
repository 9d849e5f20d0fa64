"""A .tflite that quantizes its own input and dequantizes its own output, without the two."""

from __future__ import annotations

from dataclasses import replace

from edgenet import tflite
from edgenet.tflite import ABSENT, Model, Operator, Subgraph, Tensor


def integer_ends(content: bytes) -> bytes:
    """The model that takes and gives integers, with the names that the float ends had.

    Args:
        content: a .tflite of one subgraph; nothing but a QUANTIZE reads its input, and a DEQUANTIZE
            gives its output.

    Raises:
        RuntimeError: it is not such a model.
    """
    model = tflite.read(content, "model")
    graph = model.subgraphs[0]
    first = [operator for operator in graph.operators if graph.inputs[0] in operator.inputs]
    last = [operator for operator in graph.operators if graph.outputs[0] in operator.outputs]
    if [operator.name for operator in (*first, *last)] != ["QUANTIZE", "DEQUANTIZE"]:
        raise RuntimeError("the graph is not quantized at both ends")
    ends = {first[0].inputs[0]: first[0].outputs[0], last[0].outputs[0]: last[0].inputs[0]}
    return tflite.write(_without(model, ends, {first[0].index, last[0].index}))


def _without(model: Model, ends: dict[int, int], dropped: set[int]) -> Model:
    """The model without the operators ``dropped``, and integer tensors in the place of the ends."""
    graph = model.subgraphs[0]
    names = {new: graph.tensors[old].name for old, new in ends.items()}
    kept = [tensor for tensor in graph.tensors if tensor.index not in ends]
    place = {tensor.index: place for place, tensor in enumerate(kept)} | {ABSENT: ABSENT}
    place |= {old: place[new] for old, new in ends.items()}

    def numbers(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(place[index] for index in indices)

    tensors: list[Tensor] = [
        replace(tensor, index=place[tensor.index], name=names.get(tensor.index, tensor.name))
        for tensor in kept
    ]
    operators: list[Operator] = [
        replace(one, index=index, inputs=numbers(one.inputs), outputs=numbers(one.outputs))
        for index, one in enumerate(one for one in graph.operators if one.index not in dropped)
    ]
    changed: Subgraph = replace(
        graph,
        tensors=tuple(tensors),
        operators=tuple(operators),
        inputs=numbers(graph.inputs),
        outputs=numbers(graph.outputs),
    )
    signatures = tuple(
        replace(
            signature,
            inputs={name: place[index] for name, index in signature.inputs.items()},
            outputs={name: place[index] for name, index in signature.outputs.items()},
        )
        for signature in model.signatures
    )
    return replace(model, subgraphs=(changed,), signatures=signatures)
