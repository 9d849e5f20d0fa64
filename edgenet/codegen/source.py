"""A program's own C: its header, the calls in order, the constants that they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from edgenet.codegen import chains, flavours, pack, template, text
from edgenet.codegen.call import Call, Constant, Lowered
from edgenet.codegen.program import STACK, Program, constants
from edgenet.codegen.rows import Rows
from edgenet.int8.graph import Array, Port

CTYPES = {"int8": "int8_t", "int32": "int32_t", "uint32": "uint32_t"}


class Source:
    """The C of one program, apart from the kernels that it calls."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._template = template.of(program)
        self._name = program.name
        self._names: dict[int, str] = {}  # of constants, by id
        # each call's, flavour by flavour
        self._constants: list[tuple[list[tuple[str, Array]], ...]] = [
            tuple(self._collect(layer, one, number) for one in call.flavours)
            for layer in program.layers
            for number, call in enumerate(layer.calls)
        ]

    def _collect(self, layer: Lowered, call: Call, number: int) -> list[tuple[str, Array]]:
        prefix = f"{self._name}_{_struct_name(layer, number)}"
        if call is not layer.calls[number]:
            prefix += "_mve"
        found = constants(call.fields)
        names = [f"{prefix}_{role}" for role in _roles(call.fields)]
        self._names |= {id(one): name for one, name in zip(found, names, strict=True)}
        return [(name, one.values) for one, name in zip(found, names, strict=True)]

    def _chosen(self, flavours: Sequence[str]) -> str:
        """Lines for every compiler, and instead of them those for compilers that have MVE."""
        if len(flavours) == 1:
            return flavours[0]
        other, mve = flavours
        return f"#if {self._name.upper()}_EN_MVE\n{mve}\n#else\n{other}\n#endif"

    def header(self) -> str:
        graph, plan = self._program.graph, self._program.plan
        ports = [*self._ports("IN", graph.inputs), *self._ports("OUT", graph.outputs)]
        functions = [*self._more("input", graph.inputs), *self._more("output", graph.outputs)]
        return self._template(
            "model.h",
            arena=str(plan.size),
            stack=str(STACK),
            constants=str(self._program.constant_bytes),
            macs=str(self._program.macs),
            layers=str(len(self._program.layers)),
            ports="\n".join(ports),
            functions="".join(f"{line};\n" for line in functions),
        )

    def _ports(self, direction: str, ports: tuple[Port, ...]) -> Iterator[str]:
        for number, port in enumerate(ports):
            value = self._program.graph.values[port.value]
            prefix = f"{self._name.upper()}_{direction}{template.count(number)}"
            for letter, size in (
                zip("HWC", value.shape[1:], strict=False) if len(value.shape) == 4 else ()
            ):
                yield f"#define {prefix}_{letter} {size}"
            yield f"#define {prefix}_LEN {value.size}"
            yield f"#define {prefix}_SCALE {np.float32(value.scale)!s}f"
            yield f"#define {prefix}_ZERO_POINT ({value.zero_point})"

    def _more(self, kind: str, ports: tuple[Port, ...]) -> Iterator[str]:
        """Functions for inputs and outputs; the first output is what running gives."""
        const = "" if kind == "input" else "const "
        for number in range(len(ports)):
            function = f"{self._name}_{kind}{template.count(number, lower=True)}"
            yield f"{const}int8_t *{function}({const}void *arena)"

    def schedule(self) -> str:
        graph = self._program.graph
        headers = sorted(
            {
                f"{self._name}_{_header(one)}"
                for layer in self._program.layers
                for call in layer.calls
                for one in call.flavours
            }
            | {
                f"{self._name}_{chains.HEADER}"
                for layer in self._program.layers
                if isinstance(layer, Rows)
            }
        )
        functions = []
        for kind, ports in (("input", graph.inputs), ("output", graph.outputs)):
            const = "" if kind == "input" else "const "
            for line, port in zip(self._more(kind, ports), ports, strict=True):
                functions.append(
                    f"{line}\n{{\n    return &(({const}int8_t *)arena)[t{port.value}];\n}}\n"
                )
        return self._template(
            "model.c",
            headers="\n".join(f'#include "{header}"' for header in headers),
            flavours=flavours.definitions(
                self._name, (call for layer in self._program.layers for call in layer.calls)
            ),
            places="\n".join(self._addresses()),
            structs="\n".join(self._structs()),
            functions="\n".join(functions),
            steps="\n".join(self._steps()),
            first_output=f"{self._name}_output(arena)",
        )

    def _structs(self) -> Iterator[str]:
        for layer, step in zip(self._program.layers, self._program.plan.steps, strict=True):
            for number, call in enumerate(layer.calls):
                name = _struct_name(layer, number)
                backward = step.direction == "backward"
                yield self._chosen([self._struct(one, name, backward) for one in call.flavours])
            if isinstance(layer, Rows):
                names = [_struct_name(layer, number) for number in range(len(layer.calls))]
                plan = self._program.plan
                yield from chains.definitions(self._name, layer, plan, names)

    def _struct(self, call: Call, name: str, backward: bool) -> str:
        fields = dict(call.fields)
        if "backwards" in fields:
            fields["backwards"] = int(backward)
        body = text.struct(fields, lambda constant: self._names[id(constant)])
        return f"static const {self._name}_{call.struct} {name} = {body};\n"

    def _addresses(self) -> Iterator[str]:
        """Names of places in the arena: of values as REPORT.md has them, and of scratch."""
        program, plan = self._program, self._program.plan
        for value, address in sorted(plan.addresses.items()):
            shape = "x".join(map(str, program.graph.values[value].shape[1:]))
            yield f"    t{value} = {address}, /* {shape} */"
        for layer in program.layers:
            if any(call.scratch for call in layer.calls) and not isinstance(layer, Rows):
                yield f"    {_scratch(layer)} = {plan.scratch.get(layer.layer.name, 0)},"

    def _steps(self) -> Iterator[str]:
        for index, layer in enumerate(self._program.layers):
            output = layer.layer.output
            if isinstance(layer, Rows):
                yield chains.call(self._name, layer)
            for number, call in () if isinstance(layer, Rows) else enumerate(layer.calls):
                places = [f"t{value}" for value in (*call.inputs, output)]
                places += [_scratch(layer)] * call.scratch
                arguments = [f"&{_struct_name(layer, number)}", *(f"&a[{at}]" for at in places)]
                yield f"    {flavours.statement(self._name, call, arguments)}"
            size = self._program.graph.values[output].size
            yield f"    done(hook, context, {index}, &a[t{output}], {size});"

    def weight_declarations(self) -> str:
        lines = self._arrays(lambda name, values, ctype: f"extern {ctype} {name}[{len(values)}];")
        return self._template("weights.h", declarations="\n".join(lines))

    def weights(self) -> str:
        """Constants, aligned, since words are read."""
        attribute = "{0}_EN_ALIGNED {0}_CONST".format(self._name.upper())
        lines = self._arrays(
            lambda name, values, ctype: text.array(ctype, name, values, storage=attribute)
        )
        return self._template("weights.c", arrays="\n".join(lines))

    def _arrays(self, line: Callable[[str, Array, str], str]) -> Iterator[str]:
        """What to write for each constant, of its name, values and type; all flavours."""
        for packings in self._constants:
            lines = [
                "\n".join(line(n, v, f"const {_ctype(v, self._name)}") for n, v in arrays)
                for arrays in packings
            ]
            if any(lines):
                yield self._chosen(lines)


def _roles(fields: object) -> list[str]:
    """Names of the fields that are constants, as ``constants`` finds them."""
    if not isinstance(fields, dict):
        return []
    return [
        role
        for name, field in fields.items()
        for role in ([name] if isinstance(field, Constant) else _roles(field))
    ]


def _struct_name(layer: Lowered, number: int) -> str:
    suffix = f"_part{number}" if len(layer.calls) > 1 else ""
    return text.identifier(layer.layer.name) + suffix


def _scratch(layer: Lowered) -> str:
    return f"{text.identifier(layer.layer.name)}_scratch"


def _header(call: Call) -> str:
    """en_pool.h has two kernels; the others are named after theirs."""
    return "en_pool.h" if call.struct == "en_pool" else f"{call.kernel}.h"


def _ctype(values: Array, name: str) -> str:
    struct = pack.STRUCTS.get(values.dtype)
    return f"{name}_{struct}" if struct else CTYPES[values.dtype.name]
