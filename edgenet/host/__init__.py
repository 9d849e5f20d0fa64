"""The part that needs torch: models, training, quantization, export."""

from importlib.util import find_spec

from edgenet.errors import MissingPackage

for package in ("torch", "torchao", "litert_torch", "lightning"):
    if find_spec(package) is None:
        raise MissingPackage(package, "host", needed_for="making a model")
