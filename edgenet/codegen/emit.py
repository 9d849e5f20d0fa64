"""Writes a program as one folder of C99 that needs nothing else."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

import edgenet
from edgenet.codegen import builds, chains, kernels, pack, report, text
from edgenet.codegen.call import Call, Constant, Lowered
from edgenet.codegen.picture import Picture, placed
from edgenet.codegen.program import Golden, Program, constants
from edgenet.codegen.rows import Rows
from edgenet.errors import UsageError
from edgenet.int8.graph import Array, Port
from edgenet.spec import Preprocess

SOURCES = "src"
"""The folder's C, where Arduino and PlatformIO look for it."""
CTYPES = {"int8": "int8_t", "int32": "int32_t", "uint32": "uint32_t"}


def files(
    program: Program,
    golden: Golden,
    *,
    picture: Picture | None = None,
    labels: Sequence[str] = (),
) -> dict[str, str]:
    """Every file of the folder by name; the same program gives the same text."""
    writer = _Writer(program)
    name = program.name
    sources = {
        f"{name}.h": writer.header(),
        f"{name}.c": writer.schedule(),
        f"{name}_info.c": writer.info(labels),
        f"{name}_weights.h": writer.weight_declarations(),
        f"{name}_weights.c": writer.weights(),
        f"{name}_golden.h": writer.golden(golden),
        f"{name}_selftest.c": writer.template("selftest.c"),
        **kernels.files([*program.kernels, "en_crc32"], name),
    }
    if picture:
        sources |= {
            **{f"{name}_{f}": writer.template(f, **picture.words) for f in ("image.h", "image.c")},
            **kernels.files(["en_image"], name),
        }
    found = {f"{SOURCES}/{file}": sources[file] for file in sorted(sources)}
    return {
        **found,
        "examples/main.c": writer.template("example_main.c"),
        "LICENSE": writer.template("LICENSE"),
        **builds.files(
            name, found, writer.template, picture=picture is not None, arena=program.plan.size
        ),
    }


def write(
    program: Program,
    folder: Path,
    boards: Mapping[str, report.Measured] | None = None,
    *,
    preprocess: Preprocess | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write the folder with its reports, whole or not at all.

    Args:
        program: what to write.
        folder: where; what is there goes.
        boards: what was counted, by board, for the reports.
        preprocess: of a model whose input is a picture: frames become inputs in C as well.
            ``picture.refusal`` says whether it can be.
        labels: of the first output's codes.

    Raises:
        UsageError: the input is no such picture, or labels are not as many as outputs.
        OSError: it cannot be written.
    """
    picture = None
    if preprocess:
        program, picture = placed(program, preprocess)
    made = files(program, program.golden(), picture=picture, labels=labels)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        draft.mkdir(parents=True)
        for name, content in {**made, **report.files(program, boards)}.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


class _Writer:
    def __init__(self, program: Program) -> None:
        self._program = program
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

    def template(self, file: str, **more: str) -> str:
        """A file of ``templates`` with the program's words in it."""
        source = (resources.files("edgenet.codegen") / "templates" / file).read_text("utf-8")
        return Template(source).substitute(self._words() | more)

    def _words(self) -> dict[str, str]:
        return {
            "name": self._name,
            "NAME": self._name.upper(),
            "version": edgenet.__version__,
            "digest": self._program.digest,
        }

    def header(self) -> str:
        graph, plan = self._program.graph, self._program.plan
        ports = [*self._ports("IN", graph.inputs), *self._ports("OUT", graph.outputs)]
        functions = [*self._more("input", graph.inputs), *self._more("output", graph.outputs)]
        return self.template(
            "model.h",
            arena=str(plan.size),
            constants=str(self._program.constant_bytes),
            macs=str(self._program.macs),
            layers=str(len(self._program.layers)),
            ports="\n".join(ports),
            functions="".join(f"{line};\n" for line in functions),
        )

    def _ports(self, direction: str, ports: tuple[Port, ...]) -> Iterator[str]:
        for number, port in enumerate(ports):
            value = self._program.graph.values[port.value]
            prefix = f"{self._name.upper()}_{direction}{_count(number)}"
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
            function = f"{self._name}_{kind}{_count(number, lower=True)}"
            yield f"{const}int8_t *{function}({const}void *arena)"

    def schedule(self) -> str:
        graph, plan = self._program.graph, self._program.plan
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
                address = plan.addresses[port.value]
                functions.append(
                    f"{line}\n{{\n    return &(({const}int8_t *)arena)[{address}];\n}}\n"
                )
        return self.template(
            "model.c",
            headers="\n".join(f'#include "{header}"' for header in headers),
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
                yield from chains.definitions(self._name, layer, plan, names, self._chosen)

    def _struct(self, call: Call, name: str, backward: bool) -> str:
        fields = dict(call.fields)
        if "backwards" in fields:
            fields["backwards"] = int(backward)
        body = text.struct(fields, lambda constant: self._names[id(constant)])
        return f"static const {self._name}_{call.struct} {name} = {body};\n"

    def _steps(self) -> Iterator[str]:
        plan = self._program.plan
        for index, layer in enumerate(self._program.layers):
            output = layer.layer.output
            at = plan.addresses[output]
            if isinstance(layer, Rows):
                yield chains.call(self._name, layer)
            for number, call in () if isinstance(layer, Rows) else enumerate(layer.calls):
                places = [*(plan.addresses[value] for value in call.inputs), at]
                scratch = plan.scratch.get(layer.layer.name, 0)
                yield self._chosen(
                    [
                        self._statement(
                            one, _struct_name(layer, number), [*places, *[scratch] * one.scratch]
                        )
                        for one in call.flavours
                    ]
                )
            size = self._program.graph.values[output].size
            yield f"    done(hook, context, {index}, &a[{at}], {size});"

    def _statement(self, call: Call, struct: str, places: Sequence[int]) -> str:
        arguments = ", ".join([f"&{struct}", *(f"&a[{place}]" for place in places)])
        return f"    {self._name}_{call.kernel}({arguments});"

    def info(self, labels: Sequence[str]) -> str:
        """What there is to know, and the labels.

        Raises:
            UsageError: they are not as many as outputs.
        """
        outputs = self._program.graph.values[self._program.graph.outputs[0].value].size
        if labels and len(labels) != outputs:
            raise UsageError(
                f"{self._name} has {outputs} outputs and {len(labels)} labels; give one for each"
            )
        table = f"{self._name}_labels"
        lines = "".join(f"{text.INDENT}{text.string(label)},\n" for label in labels)
        return self.template(
            "info.c",
            labels=f"static const char *const {table}[] = {{\n{lines}}};\n" if labels else "",
            table=table if labels else "NULL",
        )

    def weight_declarations(self) -> str:
        lines = self._arrays(lambda name, values, ctype: f"extern {ctype} {name}[{len(values)}];")
        return self.template("weights.h", declarations="\n".join(lines))

    def weights(self) -> str:
        """Constants, aligned, since words are read."""
        attribute = "{0}_EN_ALIGNED {0}_CONST".format(self._name.upper())
        lines = self._arrays(
            lambda name, values, ctype: text.array(ctype, name, values, storage=attribute)
        )
        return self.template("weights.c", arrays="\n".join(lines))

    def _arrays(self, line: Callable[[str, Array, str], str]) -> Iterator[str]:
        """What to write for each constant, of its name, values and type; all flavours."""
        for flavours in self._constants:
            lines = [
                "\n".join(line(n, v, f"const {_ctype(v, self._name)}") for n, v in arrays)
                for arrays in flavours
            ]
            if any(lines):
                yield self._chosen(lines)

    def golden(self, golden: Golden) -> str:
        """Inputs and outputs of pictures, and the CRC of each layer."""
        name = self._name
        sizes = {"pictures": str(golden.pictures), "layers": str(golden.crcs.shape[1])}
        arrays = [
            text.array(
                "int8_t",
                f"{name}_golden_{kind}{_count(number, lower=True)}",
                values,
                storage="static const",
            )
            for kind, many in (("input", golden.inputs), ("output", golden.outputs))
            for number, values in enumerate(many)
        ]
        crcs = text.array("uint32_t", f"{name}_golden_crc", golden.crcs, storage="static const")
        copies = self._each(
            "input",
            self._program.graph.inputs,
            "(void)memcpy({name}_input{n}(arena), {name}_golden_input{n}[picture], {size});",
        )
        compares = self._each(
            "output",
            self._program.graph.outputs,
            "differs |= memcmp({name}_output{n}(arena), {name}_golden_output{n}[picture], {size});",
        )
        return self.template(
            "golden.h",
            arrays="\n".join([*arrays, crcs]),
            set_inputs=copies,
            compare_outputs=compares,
            **sizes,
        )

    def _each(self, kind: str, ports: tuple[Port, ...], line: str) -> str:
        return "\n".join(
            "    "
            + line.format(
                name=self._name,
                n=_count(number, lower=True),
                size=self._program.graph.values[port.value].size,
            )
            for number, port in enumerate(ports)
        )


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


def _header(call: Call) -> str:
    """en_pool.h has two kernels; the others are named after theirs."""
    return "en_pool.h" if call.struct == "en_pool" else f"{call.kernel}.h"


def _count(number: int, *, lower: bool = False) -> str:
    if not number:
        return ""
    return f"_{number + 1}" if lower else str(number + 1)


def _ctype(values: Array, name: str) -> str:
    struct = pack.STRUCTS.get(values.dtype)
    return f"{name}_{struct}" if struct else CTYPES[values.dtype.name]
