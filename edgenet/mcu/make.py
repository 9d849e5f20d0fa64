"""A bundle's model as C: a folder that the bundle holds, with what it takes in the manifest."""

from __future__ import annotations

import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgenet import image
from edgenet.board import Board
from edgenet.bundle import Bundle, ProgramRecord, Rounding, add_program
from edgenet.codegen import emit, names, picture, written
from edgenet.codegen.program import Program, program
from edgenet.codegen.written import Written
from edgenet.errors import BundleError, ExportError, LimitExceeded
from edgenet.mcu import budget
from edgenet.mcu.budget import Budget
from edgenet.runner import Array
from edgenet.runtime.reference import Reference
from edgenet.spec import Variant

VARIANT: Variant = "int8.tflite"
FOLDER = "c"
ROUNDING: Rounding = "gemmlowp-double"
_SERIAL = ("edgenet_serial.c", "edgenet_serial.h")


def identifier(name: str) -> str:
    """A bundle's name as that of a program in C.

    >>> identifier("MobileNet V1 0.5"), identifier("2nd-try"), identifier("stdint")
    ('mobilenet_v1_0_5', 'm2nd_try', 'stdint_net')
    """
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return names.free((word if word[:1].isalpha() else f"m{word}")[:31].rstrip("_"))


def generate(bundle: Bundle, *, sram_budget: int | None = None) -> Program:
    """The program of a bundle's int8 model, with room for turning frames into its input.

    That room is left out where a budget has none for it.

    Raises:
        BundleError: the bundle holds no int8 .tflite.
        GraphError: the model holds what there is no kernel for.
        ExportError: no plan keeps to the budget.
    """
    if VARIANT not in bundle.variants:
        raise BundleError(
            f"{bundle.root} holds {', '.join(bundle.variants) or 'no model'}, and C is made of"
            f" {VARIANT}; make the bundle of an int8 .tflite"
        )
    data = bundle.model(VARIANT).read_bytes()
    name = identifier(bundle.manifest.name)
    try:
        made = program(data, name, sram_budget=sram_budget)
    except LimitExceeded as error:
        raise ExportError(str(error)) from error
    if picture.refusal(made.graph, bundle.spec.preprocess):
        return made
    with_frames, _ = picture.placed(made, bundle.spec.preprocess)
    room = with_frames.plan.size if sram_budget is None else sram_budget
    return made if with_frames.plan.size > room else with_frames


def without_frames(bundle: Bundle, made: Program) -> str:
    """Why a program of ``generate`` does not turn frames into its input; empty where it does."""
    preprocess = bundle.spec.preprocess
    if reason := picture.refusal(made.graph, preprocess):
        return reason
    if picture.where_it_fits(made, preprocess) is not None:
        return ""
    needed = picture.placed(made, preprocess)[0].plan.size
    return f"that takes an --sram-budget of {needed:,} bytes"


def write(bundle: Bundle, folder: Path, *, made: Program | None = None) -> Written:
    """Write a bundle's program, and the firmware for serial ports beside it, to a folder."""
    made = made or generate(bundle)
    labels = bundle.spec.labels
    outputs = made.graph.values[made.graph.outputs[0].value].size
    emit.write(
        made,
        folder,
        preprocess=picture.where_it_fits(made, bundle.spec.preprocess),
        labels=labels if len(labels) == outputs else (),
    )
    found = written.read(folder)
    serial = folder / "serial"
    serial.mkdir()
    for name in _SERIAL:
        text = (resources.files("edgenet.codegen") / "firmware" / name).read_text("utf-8")
        (serial / name).write_text(text, encoding="utf-8", newline="\n")
    (serial / "edgenet_model.h").write_text(written.glue(found), encoding="utf-8", newline="\n")
    return found


def written_in(bundle: Bundle) -> Written | None:
    """The program that a bundle holds; None where it holds none."""
    if bundle.manifest.program is None:
        return None
    return written.read(bundle.root / FOLDER)


class Made(NamedTuple):
    """A bundle with its program, and what there is to say of that.

    Attributes:
        bundle: as it was written.
        needs: of the program; with its code where a board's compiler counted that.
        without_frames: as the function of that name says.
    """

    bundle: Bundle
    needs: Budget
    without_frames: str


def add(
    bundle: Bundle,
    destination: Path,
    *,
    target: str,
    board: Board | None = None,
    sram_budget: int | None = None,
) -> Made:
    """Write a bundle again with its program, and with golden answers in the program's arithmetic.

    Args:
        bundle: an opened bundle.
        destination: where to write; the folder of the bundle itself will do.
        target: that it is for.
        board: that it must fit, and that commands choose unless told otherwise.
        sram_budget: bytes that the arena may take at the most.

    Raises:
        BundleError: the bundle holds no int8 .tflite, or the destination cannot be written.
        GraphError: the model holds what there is no kernel for.
        ExportError: the program does not fit the board, or no plan keeps to the budget.
        TargetError: the board's compiler refuses the program.
    """
    made = generate(bundle, sram_budget=sram_budget)
    if board is not None:
        budget.of_program(made).check(board)
    with tempfile.TemporaryDirectory(prefix="edgenet-mcu-") as folder:
        place = Path(folder, FOLDER)
        found = write(bundle, place, made=made)
        needs = budget.of_written(found)
        if board is not None:
            needs = budget.counted(found, board, Path(folder, "build"))
            needs.check(board)
        content = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(place.rglob("*"))
            if path.is_file()
        }
    record = ProgramRecord(
        name=made.name,
        rounding=ROUNDING,
        arena=needs.arena,
        constants=needs.constants,
        macs=made.macs,
        board=None if board is None else board.name,
        sram_budget=sram_budget,
        own_board=None if board is None or board.ships else board,
    )
    whole = add_program(bundle, record, content, answers(bundle), destination, target=target)
    return Made(whole, needs, without_frames(bundle, made))


def answers(bundle: Bundle) -> Array:
    """What the int8 model answers to the golden inputs in the arithmetic of generated C.

    Raises:
        BundleError: the golden frames are missing or malformed.
    """
    session = Reference().open(bundle.model(VARIANT))
    tensor = bundle.record(VARIANT).inputs[0]
    given = [
        image.as_tensor(pixels, bundle.spec.preprocess, tensor) for pixels in bundle.golden().inputs
    ]
    return np.concatenate([session.run([one])[0] for one in given])
