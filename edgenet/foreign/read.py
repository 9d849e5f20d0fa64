"""A .tflite or .onnx file to what a bundle must know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgenet import tflite
from edgenet.bundle import Answers
from edgenet.errors import ExportError, GraphError, nothing_at
from edgenet.foreign import metadata, onnx_graph
from edgenet.foreign.given import Given, check_ends, refuse_sigmoid
from edgenet.foreign.onnx_graph import Graph, Node
from edgenet.foreign.protobuf import Malformed
from edgenet.runtime.edgetpu import is_compiled
from edgenet.runtime.onnx import OnnxRuntime
from edgenet.spec import TensorSpec, Variant
from edgenet.tflite import Subgraph, Tensor

_EIGHT_BITS = ("int8", "uint8")
# operators that pass on what the one before them gave
_PASSING = {
    "DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE",
    "DequantizeLinear", "QuantizeLinear", "Reshape", "Squeeze", "Flatten", "Identity", "Cast",
}  # fmt: skip
_QUANTIZED_NODES = {
    "QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
    "MatMulInteger", "DynamicQuantizeLinear",
}  # fmt: skip


def read(path: Path) -> Given:
    """Read one model.

    Raises:
        ExportError: it is no classifier of one RGB picture at a time.
        GraphError: the file is damaged.
        MissingPackage: ONNX Runtime is not installed, for a .onnx.
        EngineError: ONNX Runtime cannot open the model.
    """
    readers: Mapping[str, Callable[[Path, bytes], Given]] = {
        ".tflite": _tflite, ".onnx": _onnx,
    }  # fmt: skip
    if not path.is_file():
        raise ExportError(nothing_at(path))
    if path.suffix not in readers:
        raise ExportError(
            f"{path} is neither a .tflite nor a .onnx file, by its name; give one that is"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror or error})") from error
    return readers[path.suffix](path, content)


def _tflite(path: Path, content: bytes) -> Given:
    model = tflite.read(content, str(path))
    if is_compiled(model):
        raise ExportError(
            f"{path} is compiled for the Edge TPU; give the model that it was compiled from, and"
            f" this one with --compiled {path}"
        )
    graph = model.subgraphs[0]
    for index in graph.inputs:
        _refuse_open_sizes(path, graph.tensors[index])
    takes, gives = check_ends(
        path,
        [_tensor_spec(path, graph.tensors[index]) for index in graph.inputs],
        [_tensor_spec(path, graph.tensors[index]) for index in graph.outputs],
    )
    normalization, labels = metadata.read(model, content)
    integer = any(_computes_in_8_bits(graph, operator.inputs) for operator in graph.operators)
    return Given(
        path=path,
        content=content,
        variant="int8.tflite" if integer else "fp32.tflite",
        input=takes,
        output=gives,
        answers=_answers(path, _last(graph)),
        labels=labels,
        normalization=normalization,
    )


def _tensor_spec(path: Path, tensor: Tensor) -> TensorSpec:
    if tensor.dtype not in ("float32", "int8", "uint8", "int16", "int32"):
        raise ExportError(f"{path}: {tensor.name!r} is {tensor.dtype}; a classifier's is float32")
    return TensorSpec(
        tensor.name,
        tensor.shape,
        tensor.dtype,  # type: ignore[arg-type]
        tensor.scale if tensor.dtype != "float32" else (),
        tensor.zero_point if tensor.dtype != "float32" else (),
        tensor.axis,
    )


def _refuse_open_sizes(path: Path, tensor: Tensor) -> None:
    if -1 in tensor.shape_signature[1:]:
        shape = "x".join("?" if size < 0 else str(size) for size in tensor.shape_signature)
        raise ExportError(f"{path} takes {shape}, whose size is open; export it with a fixed one")


def _computes_in_8_bits(graph: Subgraph, inputs: tuple[int, ...]) -> bool:
    """Whether an operator combines an activation of 8 bits with a constant, as layers do."""
    tensors = [graph.tensors[index] for index in inputs if index >= 0]
    flowing = [t.dtype for t in tensors if t.data is None]
    return any(t.data is not None for t in tensors) and any(d in _EIGHT_BITS for d in flowing)


def _last(graph: Subgraph) -> str:
    """The operator that makes the answers, seen through those that pass them on."""
    wanted = graph.outputs[0]
    for operator in reversed(graph.operators):
        if wanted in operator.outputs:
            if operator.name not in _PASSING:
                return operator.name
            wanted = next((i for i in operator.inputs if i >= 0), wanted)
    return ""


def _answers(path: Path, operator: str) -> Answers:
    if operator.upper() == "SOFTMAX":
        return "probabilities"
    if operator in ("LOGISTIC", "Sigmoid"):
        refuse_sigmoid(path, operator)
    return "logits"


def _onnx(path: Path, content: bytes) -> Given:
    try:
        graph = onnx_graph.read(content)
    except Malformed as error:
        raise GraphError(f"{path} is not an ONNX model, or a damaged one: {error}") from error
    if graph.external:
        raise ExportError(
            f"{path} keeps its weights in another file; save it as one file, with onnx.save of"
            " onnx.load"
        )
    for name, sizes in graph.inputs.items():
        open_sizes = [size for size in sizes[1:] if isinstance(size, str)]
        if open_sizes:
            raise ExportError(
                f"{path}: the size {open_sizes[0]!r} of {name!r} is open; fix it with: python -m"
                f" onnxruntime.tools.make_dynamic_shape_fixed --input_name {name} --input_shape"
                f" 1,3,224,224 {path} fixed.onnx"
            )
    session = OnnxRuntime().open(path)
    takes, gives = check_ends(
        path,
        [_with_scale(one, _first_dequantizer(graph, one.name), graph) for one in session.inputs],
        [_with_scale(one, graph.producer(one.name), graph) for one in session.outputs],
    )
    operators = {node.operator for node in graph.nodes}
    variant: Variant = "int8.onnx" if operators & _QUANTIZED_NODES else "fp32.onnx"
    return Given(
        path=path,
        content=content,
        variant=variant,
        input=takes,
        output=gives,
        answers=_answers(path, _last_node(graph, gives.name)),
    )


def _first_dequantizer(graph: Graph, tensor: str) -> Node | None:
    return next((n for n in graph.consumers(tensor) if n.operator == "DequantizeLinear"), None)


def _with_scale(tensor: TensorSpec, node: Node | None, graph: Graph) -> TensorSpec:
    """A tensor with the scale of the node that quantizes it; raw pixels where none does.

    ONNX states a scale at the nodes, not at the tensors.  An integer input that no node
    dequantizes is taken as it is, so its real value may be called anything: pixel / 255 here.
    """
    if tensor.dtype == "float32" or tensor.scale:
        return tensor
    scale, zero_point = 1 / 255, -128 if tensor.dtype == "int8" else 0
    if node is not None and node.operator in ("DequantizeLinear", "QuantizeLinear"):
        constants = [graph.scalars.get(name) for name in (*node.inputs[1:], "")[:2]]
        if constants[0] is None:
            return tensor
        scale, zero_point = constants[0], int(constants[1] or 0)
    return TensorSpec(tensor.name, tensor.shape, tensor.dtype, (scale,), (zero_point,))


def _last_node(graph: Graph, tensor: str) -> str:
    node = graph.producer(tensor)
    while node is not None and node.operator in _PASSING and node.inputs:
        node = graph.producer(node.inputs[0])
    return "" if node is None else node.operator
