"""Which part of a .tflite the Edge TPU runs, by its documented rules, without its compiler."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.edgetpu import compiled, rules
from edgenet.edgetpu.record import Memory, OperatorCheck, Status, Verdict
from edgenet.edgetpu.rules import Step
from edgenet.errors import GraphError
from edgenet.runtime.edgetpu import CUSTOM_OP
from edgenet.tflite import Model, Subgraph

CACHE = 8 << 20
"""Bytes of the device's memory for parameters: "roughly 8 MB" (coral.ai/docs/edgetpu/compiler)."""

LEAST_CACHE = 6 << 20
"""The least that the compiler leaves for parameters in published logs, beside its instructions.

6.15 MiB of a ResNet-18 (github.com/PINTO0309/openvino2tensorflow/issues/28), 8.19 MiB of a network
of 25 operators (github.com/google-coral/edgetpu/issues/324).
"""


def check(model: Model) -> Verdict:
    """Tell for each operator whether the Edge TPU runs it, and for the model what comes of that.

    Args:
        model: of ``edgenet.tflite.read``; its first subgraph is what runs.

    Raises:
        GraphError: the model has no operator.
    """
    graph = model.subgraphs[0]
    if not graph.operators:
        raise GraphError(f"{model.name} has no operator; there is nothing to check")
    steps = [Step(operator, graph) for operator in graph.operators]
    ready = [_is_compiled(step) for step in steps]
    words = ["" if done else rules.broken(step) for step, done in zip(steps, ready, strict=True)]
    allowed = [not (done or word) for word, done in zip(words, ready, strict=True)]
    parts = partition(graph, allowed)
    first = next((part for part in parts if allowed[part[0]]), [])
    statuses = [_status(i, first, allowed[i], ready[i]) for i in range(len(steps))]
    return Verdict(
        model=model.name,
        operators=tuple(
            OperatorCheck(
                index=index,
                operator=step.operator.name,
                shape=step.outputs[0].shape if step.outputs else (),
                status=statuses[index],
                rule=words[index],
            )
            for index, step in enumerate(steps)
        ),
        subgraphs=1 if first else 0,
        possible=sum(allowed[part[0]] for part in parts),
        memory=memory(graph, first),
        refused=_refused(model, steps),
        compiled=tuple(
            compiled.inspect(step.operator) for step, done in zip(steps, ready, strict=True) if done
        ),
    )


def partition(graph: Subgraph, allowed: Sequence[bool]) -> list[list[int]]:
    """Operators in parts that run one after another, each all on the device or all on the CPU.

    As TensorFlow Lite parts a graph for a delegate: an operator joins the part at hand when its
    inputs are there and it runs at the same place; when none can, the next part begins.

    Args:
        graph: whose operators are parted.
        allowed: of each operator, whether the device may run it.
    """
    made = {tensor.index for tensor in graph.tensors if tensor.data is not None}
    produced = {index for operator in graph.operators for index in operator.outputs}
    made |= {tensor.index for tensor in graph.tensors if tensor.index not in produced}
    left = list(range(len(graph.operators)))
    parts: list[list[int]] = []
    while left:
        part: list[int] = []
        for index in left:
            operator = graph.operators[index]
            here = not part or allowed[index] == allowed[part[0]]
            if here and made.issuperset(i for i in operator.inputs if i >= 0):
                part.append(index)
                made.update(operator.outputs)
        if not part:
            raise GraphError(f"operator {left[0]} waits for a tensor that comes after it")
        left = [index for index in left if index not in part]
        parts.append(part)
    return parts


def memory(graph: Subgraph, operators: Sequence[int]) -> Memory:
    """How much of the operators' weights and biases the device keeps."""
    tensors = {i for index in operators for i in graph.operators[index].inputs if i >= 0}
    found = [graph.tensors[index] for index in sorted(tensors)]
    size = sum(t.data.nbytes for t in found if t.data is not None and t.scale)
    fits = "yes" if size <= LEAST_CACHE else "maybe" if size <= CACHE else "no"
    return Memory(
        parameters=size,
        cache=CACHE,
        fits=fits,  # type: ignore[arg-type]
        streamed=max(0, size - CACHE),
        streamed_most=max(0, size - LEAST_CACHE),
    )


def _status(index: int, first: Sequence[int], allowed: bool, ready: bool) -> Status:
    if ready:
        return "compiled"
    if not allowed:
        return "cpu"
    return "mapped" if index in first else "later"


def _is_compiled(step: Step) -> bool:
    return step.operator.custom and step.operator.name == CUSTOM_OP


def _refused(model: Model, steps: Sequence[Step]) -> str:
    """Why the compiler would end without a model; empty where it would not."""
    if any(_is_compiled(step) for step in steps):
        return "it is compiled already"
    if len(model.subgraphs) > 1:
        return f"it has {len(model.subgraphs)} subgraphs; the compiler takes models with one"
    newer = [words for step in steps if (words := rules.too_new(step.operator))]
    return newer[0] if newer else ""
