"""The compiler's log: its form as users pasted it, and what the rules make of the same model."""

from __future__ import annotations

import msgspec
import pytest
from sketch import Sketch

from edgenet.edgetpu import check
from edgenet.edgetpu.log import Row, differences, parse

# after github.com/google-coral/edgetpu/issues/671: the form of compiler 16.0 with -s
WHOLE = """\
Edge TPU Compiler version 16.0.384591198
Searching for valid delegate with step 10
Try to compile segment with 84 ops
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2270 ms.

Input model: segment_0_of_2.tflite
Input size: 5.21MiB
Output model: segment_0_of_2_edgetpu.tflite
Output size: 6.51MiB
On-chip memory used for caching model parameters: 6.02MiB
On-chip memory remaining for caching model parameters: 1.02MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 84
Operation log: segment_0_of_2_edgetpu.log

Operator                       Count      Status

ADD                            10         Mapped to Edge TPU
DEPTHWISE_CONV_2D              17         Mapped to Edge TPU
CONV_2D                        57         Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""

# after github.com/google-coral/edgetpu/issues/342, compiler 15, rows of five kinds of status
PARTLY = """\
Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 98 ms.

On-chip memory used for caching model parameters: 7.75KiB
Off-chip memory used for streaming uncached model parameters: 1.22MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 155

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of \
the model will instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 2
Number of operations that will run on CPU: 153

Operator                       Count      Status

TRANSPOSE                      70         Operation not supported
FULLY_CONNECTED                1          More than one subgraph is not supported
PAD                            1          Mapped to Edge TPU
PAD                            17         More than one subgraph is not supported
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to \
some unspecified limitation
RESIZE_NEAREST_NEIGHBOR        4          Operation version not supported
DEQUANTIZE                     2          Operation is working on an unsupported data type
CONV_2D                        58         Tensor has unsupported rank (up to 3 innermost \
dimensions mapped)
"""

# the lines of github.com/google-coral/edgetpu/issues/512, tflite-micro/issues/2633 and issues/358
FAILURES = {
    """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
ERROR: Restored original execution plan after delegate application failure.
Compilation failed: Compilation failed due to large activation tensors in model.
Compilation child process completed within timeout period.
Compilation failed!
""": (
        "Restored original execution plan after delegate application failure.",
        "Compilation failed: Compilation failed due to large activation tensors in model.",
    ),
    """\
Edge TPU Compiler version 16.0.384591198
ERROR: Didn't find op for builtin opcode 'EXP' version '2'. An older version of this builtin might \
be supported. Are you using an old TFLite binary with a newer model?

ERROR: Registration failed.

Invalid model: model_2.tflite
Model could not be parsed
""": (
        "Didn't find op for builtin opcode 'EXP' version '2'. An older version of this builtin "
        "might be supported. Are you using an old TFLite binary with a newer model?",
        "Registration failed.",
        "Invalid model: model_2.tflite",
    ),
    "Edge TPU Compiler version 15.0.340273435\n\nInternal compiler error. Aborting! \n": (
        "Internal compiler error. Aborting!",
    ),
}


def test_log_of_a_model_that_is_mapped_whole():
    log = parse(WHOLE)
    assert log.version == "16.0.384591198"
    assert (log.cached, log.remaining, log.streamed) == (6312428, 1069548, 0)
    assert (log.subgraphs, log.operations) == (1, 84)
    assert log.rows[1] == Row("DEPTHWISE_CONV_2D", 17, "Mapped to Edge TPU")
    assert (log.mapped, log.whole, log.faults) == (84, True, ())


def test_log_of_a_model_that_is_mapped_in_part():
    log = parse(PARTLY)
    assert (log.cached, log.remaining, log.streamed) == (7936, None, 1279263)
    assert (log.mapped, log.whole) == (2, False)
    assert sum(row.count for row in log.rows) == log.operations == 155
    assert {row.status for row in log.rows if row.operator == "QUANTIZE"} == {
        "Mapped to Edge TPU",
        "Operation is otherwise supported, but not mapped due to some unspecified limitation",
    }


@pytest.mark.parametrize("text", FAILURES)
def test_failure_keeps_the_compilers_own_words(text):
    log = parse(text)
    assert log.faults == FAILURES[text]
    assert (log.rows, log.whole) == ((), False)


def test_other_text_says_nothing():
    log = parse("bash: edgetpu_compiler: cannot execute binary file\n")
    assert (log.version, log.operations, log.rows, log.faults) == (None, None, (), ())


def verdict(*names):
    draw = Sketch()
    takes = at = draw.tensor((1, 8), scale=0.5)
    for name in names:
        at = draw.operator(name, [at], draw.tensor((1, 8), scale=0.5))
    return check(draw.model([takes], [at]))


def log(*rows, **changes):
    found = parse(WHOLE)
    return msgspec.structs.replace(found, rows=tuple(Row(*row) for row in rows), **changes)


def test_same_findings_have_no_differences():
    same = log(("RELU", 2, "Mapped to Edge TPU"))
    assert differences(verdict("RELU", "RELU"), same) == ()
    partly = log(
        ("RELU", 1, "Mapped to Edge TPU"),
        ("GELU", 1, "Operation not supported"),
        ("RELU", 1, "More than one subgraph is not supported"),
    )
    assert differences(verdict("RELU", "GELU", "RELU"), partly) == ()


def test_each_difference_is_a_sentence():
    other = log(("RELU", 2, "Operation version not supported"), subgraphs=0, streamed=4096)
    assert differences(verdict("RELU", "RELU"), other) == (
        "RELU: the rules map 2, the compiler 0",
        "subgraphs: the rules make 1, the compiler 0",
        "parameters: the rules stream none, the compiler 4096 bytes",
    )


def test_refusal_that_the_rules_did_not_see_is_a_difference():
    failed = parse(next(iter(FAILURES)))
    assert differences(verdict("RELU"), failed) == (
        "the compiler refuses the model: Restored original execution plan after delegate "
        "application failure.",
    )
    refused = msgspec.structs.replace(verdict("RELU"), refused="RELU has version 9")
    assert differences(refused, failed) == ()
    assert differences(refused, log(("RELU", 1, "Mapped to Edge TPU"))) == (
        "the compiler takes the model, the rules say: RELU has version 9",
    )
