"""The graph that C is generated from: read, shrunk, simplified, and such as kernels can run."""

from __future__ import annotations

from edgenet import int8, tflite
from edgenet.codegen.eliminate import Report, eliminate, untouched
from edgenet.codegen.passes import simplify
from edgenet.errors import GraphError
from edgenet.int8 import graph as g
from edgenet.int8.graph import Graph, Layer


def read(data: bytes, name: str, *, elimination: bool = True) -> tuple[Graph, Report]:
    """The graph of an int8 or uint8 .tflite, and what channel elimination saved in it.

    Layers are Conv, Depthwise, FullyConnected, Pool, Mean over rows and columns, Add, Pad,
    Concatenation, Softmax, Rescale, Clamp and Reshape; each value that is left has the codes that
    the .tflite gives it, less those of channels that are gone.  A layer's rows and columns follow
    from its input: where a RESHAPE is gone, its output has the shape that came of that.

    Args:
        data: the file.
        name: what to call it in sentences.
        elimination: whether dead channels go.

    Raises:
        GraphError: the file is damaged, or holds what there is no kernel for.
    """
    if elimination:
        smaller, report = eliminate(data, name, rounding="gemmlowp-double")
    else:
        smaller, report = data, untouched(data, name)
    graph = simplify(int8.build(tflite.read(smaller, name)))
    for layer in graph.layers:
        reason = _refusal(layer, graph)
        if reason:
            value = graph.values[layer.inputs[0]]
            raise GraphError(
                f"{name}: operator {layer.name}, tensor {value.index} {value.name!r}, {reason}"
            )
    return graph, report


def _refusal(layer: Layer, graph: Graph) -> str:
    """Why there is no kernel for a layer; empty where there is one."""
    if isinstance(layer, g.Transpose):
        return (
            f"is turned by {layer.permutation}, which folds into no other operator;"
            " export the model with channels last"
        )
    if isinstance(layer, g.Mean) and layer.axes != (1, 2):
        return (
            f"is averaged over the axes {layer.axes}; only rows and columns, (1, 2), are supported"
        )
    if isinstance(layer, g.Mean) and len(graph.values[layer.inputs[0]].shape) != 4:
        shape = graph.values[layer.inputs[0]].shape
        return f"of shape {shape} is averaged; a map of four axes is needed"
    return ""
