"""TFLite's schema, as much of it as operators of image models use.

Names, numbers and defaults are those of schema.fbs in LiteRT (tflite/converter/schema); a test
compares them with the classes that LiteRT generates from it.  What is newer than this list is read
without its options and named by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgenet.tflite.flatbuffer import Malformed, Scalar, Table

Option = Scalar | str | tuple[int, ...]

CUSTOM = 32
_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM
MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT
STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE
STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD
STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW
STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
BUILTIN_OPERATORS = tuple(_OPERATORS.split())

# numpy's names where numpy has the type
_TYPES = """
float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64
resource variant uint32 uint16 int4 bfloat16 int2 uint4 float8_e4m3fn float8_e5m2
"""
DTYPES = tuple(_TYPES.split())

ENUMERATIONS = {
    "Padding": ("SAME", "VALID"),
    "ActivationFunctionType": ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"),
    "MirrorPadMode": ("REFLECT", "SYMMETRIC"),
    "FullyConnectedOptionsWeightsFormat": ("DEFAULT", "SHUFFLED4x16INT8"),
    "LSTMKernelType": ("FULL", "BASIC"),
    "TensorType": DTYPES,
}

# number of the table in the union, its name, its fields by slot: name:kind, or name:kind=default;
# a dash is a slot that is no longer used
OPTIONS = """
1 Conv2DOptions padding:Padding stride_w:int stride_h:int
  fused_activation_function:ActivationFunctionType dilation_w_factor:int=1 dilation_h_factor:int=1
  quantized_bias_type:TensorType
2 DepthwiseConv2DOptions padding:Padding stride_w:int stride_h:int depth_multiplier:int
  fused_activation_function:ActivationFunctionType dilation_w_factor:int=1 dilation_h_factor:int=1
5 Pool2DOptions padding:Padding stride_w:int stride_h:int filter_width:int filter_height:int
  fused_activation_function:ActivationFunctionType
8 FullyConnectedOptions fused_activation_function:ActivationFunctionType
  weights_format:FullyConnectedOptionsWeightsFormat keep_num_dims:bool
  asymmetric_quantize_inputs:bool quantized_bias_type:TensorType
9 SoftmaxOptions beta:float
10 ConcatenationOptions axis:int fused_activation_function:ActivationFunctionType
11 AddOptions fused_activation_function:ActivationFunctionType pot_scale_int16:bool=1
12 L2NormOptions fused_activation_function:ActivationFunctionType
13 LocalResponseNormalizationOptions radius:int bias:float alpha:float beta:float
14 LSTMOptions fused_activation_function:ActivationFunctionType cell_clip:float proj_clip:float
  kernel_type:LSTMKernelType asymmetric_quantize_inputs:bool
15 ResizeBilinearOptions - - align_corners:bool half_pixel_centers:bool
17 ReshapeOptions new_shape:[int]
19 SpaceToDepthOptions block_size:int
21 MulOptions fused_activation_function:ActivationFunctionType
22 PadOptions
23 GatherOptions axis:int batch_dims:int
26 TransposeOptions
27 ReducerOptions keep_dims:bool
28 SubOptions fused_activation_function:ActivationFunctionType pot_scale_int16:bool=1
29 DivOptions fused_activation_function:ActivationFunctionType
30 SqueezeOptions squeeze_dims:[int]
31 SequenceRNNOptions time_major:bool fused_activation_function:ActivationFunctionType
  asymmetric_quantize_inputs:bool
32 StridedSliceOptions begin_mask:int end_mask:int ellipsis_mask:int new_axis_mask:int
  shrink_axis_mask:int offset:bool
33 ExpOptions
35 SplitOptions num_splits:int
36 LogSoftmaxOptions
37 CastOptions in_data_type:TensorType out_data_type:TensorType
38 DequantizeOptions
39 MaximumMinimumOptions
40 ArgMaxOptions output_type:TensorType
42 NegOptions
43 PadV2Options
48 SliceOptions
49 TransposeConvOptions padding:Padding stride_w:int stride_h:int
  fused_activation_function:ActivationFunctionType quantized_bias_type:TensorType
51 TileOptions
52 ExpandDimsOptions
55 ShapeOptions out_type:TensorType
57 ArgMinOptions output_type:TensorType
59 PackOptions values_count:int axis:int
61 OneHotOptions axis:int
64 UnpackOptions num:int axis:int
66 SquareOptions
71 UnidirectionalSequenceLSTMOptions fused_activation_function:ActivationFunctionType
  cell_clip:float proj_clip:float time_major:bool asymmetric_quantize_inputs:bool
  diagonal_recurrent_tensors:bool
74 ResizeNearestNeighborOptions align_corners:bool half_pixel_centers:bool
75 LeakyReluOptions alpha:float
76 SquaredDifferenceOptions
77 MirrorPadOptions mode:MirrorPadMode
78 AbsOptions
79 SplitVOptions num_splits:int
89 QuantizeOptions
91 HardSwishOptions
94 DepthToSpaceOptions block_size:int
101 BatchMatMulOptions adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool
104 BroadcastToOptions
116 GeluOptions approximate:bool
"""


@dataclass(frozen=True, slots=True)
class Field:
    """Where a table keeps an option, and what it is when the table leaves it out."""

    slot: int
    name: str
    kind: str
    default: int


@dataclass(frozen=True, slots=True)
class OptionsTable:
    """The options of some operators: number and name of the table in the union BuiltinOptions."""

    number: int
    name: str
    fields: tuple[Field, ...]


def _parse(text: str) -> Iterator[OptionsTable]:
    for line in text.replace("\n  ", " ").strip().splitlines():
        number, table, *declarations = line.split()
        fields = []
        for slot, declaration in enumerate(declarations):
            if declaration != "-":
                name, _, kind = declaration.partition(":")
                kind, _, default = kind.partition("=")
                fields.append(Field(slot, name, kind, int(default or 0)))
        yield OptionsTable(int(number), table, tuple(fields))


TABLES = {table.number: table for table in _parse(OPTIONS)}


def operator_name(code: int) -> str:
    """``CONV_2D``, or ``BUILTIN_999`` for one that came after this list."""
    known = 0 <= code < len(BUILTIN_OPERATORS)
    return BUILTIN_OPERATORS[code] if known else f"BUILTIN_{code}"


def dtype_name(number: int) -> str:
    """As numpy calls it.

    Raises:
        Malformed: there is no such type.
    """
    return _enumerator("TensorType", number)


def options_table(number: int) -> str:
    """The name of a table of the union BuiltinOptions; empty for none, a number for an unknown."""
    return TABLES[number].name if number in TABLES else str(number or "")


def options(number: int, table: Table | None) -> Mapping[str, Option]:
    """The options of an operator by the names of schema.fbs; enumerators are strings.

    Args:
        number: of the table in the union BuiltinOptions.
        table: it, or None where the operator has none; fields that it leaves out have defaults.

    Raises:
        Malformed: an enumerator has a number that means nothing.
    """
    if table is None or number not in TABLES:
        return MappingProxyType({})
    return MappingProxyType({field.name: _option(table, field) for field in TABLES[number].fields})


def _option(table: Table, field: Field) -> Option:
    if field.kind == "[int]":
        return table.integers(field.slot)
    if field.kind in ENUMERATIONS:
        return _enumerator(field.kind, table.integer(field.slot, "byte", field.default))
    value = table.scalar(field.slot, field.kind, field.default)
    return bool(value) if field.kind == "bool" else value


def _enumerator(kind: str, number: int) -> str:
    names = ENUMERATIONS[kind]
    if not 0 <= number < len(names):
        raise Malformed(f"a {kind} of {number} means nothing; 0 to {len(names) - 1} do")
    return names[number]
