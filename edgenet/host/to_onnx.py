"""A torch graph to ONNX: float, or int8 as quantize/dequantize pairs that ONNX Runtime fuses.

torch's exporter writes weights as float behind a QuantizeLinear, biases as float, and float ends.
ONNX Runtime fuses a layer into its integer kernel only when weight and bias are integers already
and input and output have one type, so the int8 graph is rewritten here. Activations become uint8,
which is code + 128 and no other value: x86 has fast kernels for no other kind, and
the input is then the pixel itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edgenet.host.quiet import quiet_exporters
from edgenet.runtime.onnx import QUANTIZATION_KEY, Quantization

OPSET = 20


def to_onnx(graph: nn.Module, example: Tensor, *, int8: bool) -> bytes:
    """The serialized model: input ``input`` NHWC, output ``logits``; both uint8 when ``int8``."""
    with quiet_exporters():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["logits"],
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    _drop_provenance(model)
    _average_globally(model)
    if int8:
        rewriter = _Rewriter(model)
        rewriter.fold_weights()
        rewriter.make_activations_unsigned()
        rewriter.clamp_codes()
        rewriter.quantize_biases()
        rewriter.keep_float_layers()
        ends = rewriter.expose_integer_ends()
        rewriter.prune()
        helper.set_model_props(model, {QUANTIZATION_KEY: msgspec.json.encode(ends).decode()})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


def _drop_provenance(model: ModelProto) -> None:
    """Remove the exporter's notes on which line of which file each node comes from."""
    del model.metadata_props[:]
    for entry in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del entry.metadata_props[:]
        entry.doc_string = ""


def _average_globally(model: ModelProto) -> None:
    """A mean over H and W is a GlobalAveragePool, for which ONNX Runtime has an int8 kernel."""
    for node in model.graph.node:
        if node.op_type == "ReduceMean":
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]


class _Rewriter:
    """One int8 model being rewritten in place."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        self.constants = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.producers = {name: node for node in self.graph.node for name in node.output}

    def fold_weights(self) -> None:
        """QuantizeLinear (and Clip) of a constant becomes an int8 constant."""
        for node in list(self.graph.node):
            if node.op_type == "QuantizeLinear" and node.input[0] in self.constants:
                weight, scale = (self.constants[name] for name in node.input[:2])
                if scale.ndim:
                    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
                value = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
                self.graph.node.remove(node)
                clip = self._consumer(node.output[0], "Clip")
                if clip is not None:
                    self.graph.node.remove(clip)
                self._add((clip or node).output[0], value)

    def quantize_biases(self) -> None:
        """A float bias becomes int32 with scale = input scale * weight scale.

        The bias of a layer whose weights stayed float stays as it is.
        """
        for node in [n for n in self.graph.node if n.op_type in ("Conv", "Gemm")]:
            if node.input[1] in self.constants:
                continue
            scale = self._scale(node.input[0]) * self._scale(node.input[1])
            if len(node.input) < 3:
                continue
            value = np.rint(self.constants[node.input[2]] / scale.astype(np.float64))
            name = f"{node.output[0]}_bias"
            self._add(f"{name}_int32", value.astype(np.int32))
            self._add(f"{name}_scale", np.broadcast_to(scale, value.shape).copy())
            self._add(f"{name}_zero_point", np.zeros(value.shape, np.int32))
            inputs = [f"{name}_int32", f"{name}_scale", f"{name}_zero_point"]
            dequantize = helper.make_node("DequantizeLinear", inputs, [name], axis=0)
            self.graph.node.insert(list(self.graph.node).index(node), dequantize)
            node.input[2] = name

    def keep_float_layers(self) -> None:
        """What is dequantized for a layer with float weights has a scale for each channel.

        They are all the same; but where there is one, ONNX Runtime (WeightBiasQuantization)
        quantizes the layer's weights itself, with one scale for all.
        """
        for node in [n for n in self.graph.node if n.op_type in ("Conv", "Gemm")]:
            source = self.producers.get(node.input[0])
            if (
                node.input[1] not in self.constants
                or source is None
                or source.op_type != "DequantizeLinear"
            ):
                continue
            groups = sum(one.i for one in node.attribute if one.name == "group") or 1
            channels = self.constants[node.input[1]].shape[1] * groups
            inputs = [source.input[0]]
            for name in source.input[1:]:
                inputs.append(f"{node.output[0]}_input_{name}")
                self._add(inputs[-1], np.full(channels, self.constants[name]))
            node.input[0] = f"{node.output[0]}_input"
            dequantize = helper.make_node("DequantizeLinear", inputs, [node.input[0]], axis=1)
            self.graph.node.insert(list(self.graph.node).index(node), dequantize)
            if not any(source.output[0] in n.input for n in self.graph.node):
                self.graph.node.remove(source)

    def make_activations_unsigned(self) -> None:
        """Activations become uint8; every weight gets a zero point of its own.

        ONNX Runtime 1.31 refuses zero points that weights share when it is told to avoid the
        saturating kernels of x86 without VNNI (session.x64quantprecision).
        """
        for node in self.graph.node:
            if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
                continue
            zero_point = self.constants[node.input[2]]
            if node.input[0] not in self.constants:
                name, unsigned = f"{node.input[2]}_unsigned", zero_point.astype(np.int16) + 128
                self._add(name, unsigned.astype(np.uint8))
            else:
                name = f"{node.input[0]}_zero_point"
                self._add(name, zero_point)
            node.input[2] = name

    def clamp_codes(self) -> None:
        """A ReLU or ReLU6 between a layer and its QuantizeLinear becomes a Clip of the codes.

        Both give the same codes, but ONNX Runtime fuses a layer into its integer kernel only where
        the QuantizeLinear follows at once.
        """
        for node in [n for n in self.graph.node if n.op_type in ("Relu", "Clip")]:
            quantize = self._consumer(node.output[0], "QuantizeLinear")
            if quantize is None:
                continue
            scale, zero_point = (self.constants[name] for name in quantize.input[1:])
            high = 255.0
            if node.op_type == "Clip":
                most = self.constants[node.input[2]].astype(np.float64)
                high = min(high, float(zero_point + np.rint(most / scale)))
            result = quantize.output[0]
            bounds = [f"{result}_low", f"{result}_high"]
            self._add(bounds[0], np.array(zero_point, np.uint8))
            self._add(bounds[1], np.array(high, np.uint8))
            quantize.input[0] = node.input[0]
            quantize.output[0] = f"{result}_before"
            clip = helper.make_node("Clip", [quantize.output[0], *bounds], [result])
            self.graph.node.insert(list(self.graph.node).index(quantize) + 1, clip)
            self.graph.node.remove(node)
            self.producers |= {result: clip, quantize.output[0]: quantize}

    def expose_integer_ends(self) -> dict[str, Quantization]:
        """Drop the QuantizeLinear of the input and the DequantizeLinear of the output.

        Returns:
            Scale and zero point of both ends by name, which the graph no longer says.
        """
        source, result = self.graph.input[0], self.graph.output[0]
        first = self._consumer(source.name, "QuantizeLinear")
        last = self.producers[result.name]
        if first is None or last.op_type != "DequantizeLinear":
            raise RuntimeError("the graph is not quantized at both ends")
        self.graph.node.remove(first)
        self.graph.node.remove(last)
        self._rename(first.output[0], source.name)
        self._rename(last.input[0], result.name)
        for value in (source, result):
            value.type.tensor_type.elem_type = TensorProto.UINT8
        del self.graph.value_info[:]
        return {source.name: self._quantization(first), result.name: self._quantization(last)}

    def prune(self) -> None:
        """Drop initializers that nothing reads."""
        used = {name for node in self.graph.node for name in node.input}
        kept = [i for i in self.graph.initializer if i.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def _quantization(self, node: NodeProto) -> Quantization:
        scale, zero_point = (self.constants[name] for name in node.input[1:])
        return Quantization((float(scale),), (int(zero_point),))

    def _scale(self, name: str) -> NDArray[np.float32]:
        """Scale of the DequantizeLinear that an edge comes from, through what moves data."""
        for node in self._upstream(name):
            if node.op_type == "DequantizeLinear":
                return self.constants[node.input[1]]
        raise RuntimeError(f"{name} does not come from a DequantizeLinear")

    def _upstream(self, name: str) -> Iterator[NodeProto]:
        while name in self.producers:
            yield self.producers[name]
            name = self.producers[name].input[0]

    def _consumer(self, name: str, op_type: str) -> NodeProto | None:
        found = [n for n in self.graph.node if name in n.input]
        return found[0] if len(found) == 1 and found[0].op_type == op_type else None

    def _rename(self, old: str, new: str) -> None:
        for node in self.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new

    def _add(self, name: str, value: NDArray[np.generic]) -> None:
        if name in self.constants:
            return
        self.constants[name] = value
        self.graph.initializer.append(numpy_helper.from_array(value, name))
