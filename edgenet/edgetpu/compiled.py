"""What a compiled part says of itself, by the schemas that libedgetpu publishes.

The operator's data is a FlexBuffer map (tflite/custom_op_data.cc) with the package under key 4; the
package and its executables are flatbuffers marked DWN1 (executable/executable.fbs), in
https://github.com/google-coral/libedgetpu.  The instructions themselves are not documented.
"""

from __future__ import annotations

from edgenet.edgetpu import flexbuffer
from edgenet.edgetpu.record import CompiledPart
from edgenet.tflite import Operator
from edgenet.tflite.flatbuffer import Bytes, Malformed, Table

_PACKAGE_KEY = "4"
_MARK = b"DWN1"
_PARAMETER_CACHING = 1


def inspect(operator: Operator) -> CompiledPart:
    """Read an ``edgetpu-custom-op``; what cannot be read is said and is no error."""
    data = operator.custom_options
    try:
        package = flexbuffer.read_map(data).get(_PACKAGE_KEY)
        if not isinstance(package, bytes):
            raise flexbuffer.Malformed(f"key {_PACKAGE_KEY} holds no package")
        return _package(len(data), package)
    except (flexbuffer.Malformed, Malformed) as error:
        return CompiledPart(bytes=len(data), unreadable=str(error))


def _package(size: int, data: bytes) -> CompiledPart:
    package = _root(data)
    content = bytes(package.raw(1))
    executables = [_root(bytes(one)) for one in Bytes(content).root().raws(0)]
    if not executables:
        raise Malformed("the package holds no executable")
    return CompiledPart(
        bytes=size,
        executables=len(executables),
        parameters=sum(len(one.raw(6)) for one in executables),
        cached=any(one.integer(13, "short") == _PARAMETER_CACHING for one in executables),
        compiler=package.text(4),
        min_runtime=package.integer(0, "int"),
        chip=executables[0].text(10),
    )


def _root(data: bytes) -> Table:
    if data[4:8] != _MARK:
        raise Malformed("the mark 'DWN1' is missing")
    return Bytes(data).root()
