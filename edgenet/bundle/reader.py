"""Opening a bundle: the manifest, the files it names, and the golden frames."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgenet.bundle import manifest as manifests
from edgenet.bundle.manifest import MANIFEST, FileRecord, Manifest, ModelRecord
from edgenet.errors import BundleError, unknown
from edgenet.spec import VARIANTS, ModelSpec, Variant

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Golden:
    """Frames that every device must answer in the same way.

    Attributes:
        frames: uint8 (N, h, w, 3), as from a camera, of another size than the model's input.
        inputs: uint8 (N, height, width, 3), what ``image.fit`` makes of the frames.
        outputs: of each variant the raw output tensors (N, classes), in the model's own type.
    """

    frames: Array
    inputs: Array
    outputs: Mapping[Variant, Array]


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle."""

    root: Path
    manifest: Manifest

    @classmethod
    def open(cls, root: Path | str, *, verify: bool = True) -> Self:
        """Read the manifest and check every file that it names.

        Args:
            root: the bundle's folder.
            verify: also compare the sha256 of every file; sizes are always compared.

        Raises:
            BundleError: there is no bundle, or it is malformed, changed or newer than this reader.
        """
        root = Path(root)
        manifest = manifests.read(root)
        for record in (*manifest.models.values(), *manifest.files.values()):
            _check_file(root, record, verify=verify)
        bundle = cls(root, manifest)
        for variant in bundle.variants:
            bundle._check_tensors(variant)
        if bundle._read("labels") != labels_txt(bundle.labels):
            raise BundleError(f"{root}: labels.txt differs from the labels in {MANIFEST}")
        return bundle

    @property
    def spec(self) -> ModelSpec:
        return self.manifest.spec

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.spec.labels

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that the bundle holds, in the order of ``spec.VARIANTS``."""
        return tuple(variant for variant in VARIANTS if variant in self.manifest.models)

    @property
    def sha256(self) -> str:
        """The bundle's identity: the sha256, in hex, of its manifest with ``drift`` null.

        The manifest holds the digest of every file.  What was measured on the bundle afterwards
        (``amend``) does not make it another one.
        """
        bare = msgspec.structs.replace(self.manifest, drift=None)
        return hashlib.sha256(manifests.encode(bare)).hexdigest()

    def record(self, variant: str) -> ModelRecord:
        """The record of a variant.

        Raises:
            BundleError: the bundle does not hold it.
        """
        if variant not in self.manifest.models:
            raise BundleError(f"{self.root}: {unknown('variant', variant, self.variants)}")
        return self.manifest.models[variant]

    def model(self, variant: str) -> Path:
        """The path of a variant's model file; raises as ``record`` does."""
        return self.root / self.record(variant).path

    def golden(self) -> Golden:
        """Load the golden frames.

        Raises:
            BundleError: they are missing, malformed, or do not fit one another or the models.
        """
        golden = Golden(
            frames=self._array("golden/frames"),
            inputs=self._array("golden/inputs"),
            outputs={name: self._array(f"golden/outputs/{name}") for name in self.variants},
        )
        self._check_golden(golden)
        return golden

    def _check_tensors(self, variant: Variant) -> None:
        record, preprocess = self.record(variant), self.spec.preprocess
        where = f"{self.root}: {record.path}"
        if len(record.inputs) != 1 or len(record.outputs) != 1:
            raise BundleError(
                f"{where} has {len(record.inputs)} inputs and {len(record.outputs)} outputs;"
                " a classifier has one of each"
            )
        size = preprocess.height, preprocess.width
        if record.inputs[0].shape not in ((1, *size, 3), (1, 3, *size)):
            raise BundleError(
                f"{where} takes {record.inputs[0].shape}, but the preprocessing makes"
                f" {(1, *size, 3)}"
            )
        for tensor in (record.inputs[0], record.outputs[0]):
            if tensor.dtype != "float32" and not len(tensor.scale) == len(tensor.zero_point) == 1:
                raise BundleError(
                    f"{where}: {tensor.name!r} is {tensor.dtype} and needs one scale and zero point"
                )
        shape = record.outputs[0].shape
        if shape != (1, len(self.labels)):
            raise BundleError(f"{where} gives {shape}, but there are {len(self.labels)} labels")

    def _check_golden(self, golden: Golden) -> None:
        preprocess, count = self.spec.preprocess, len(golden.frames) if golden.frames.ndim else 0
        expected: dict[str, tuple[Array, str, tuple[int, ...]]] = {
            "frames": (golden.frames, "uint8", (count, *golden.frames.shape[1:3], 3)),
            "inputs": (golden.inputs, "uint8", (count, preprocess.height, preprocess.width, 3)),
        }
        for variant, output in golden.outputs.items():
            wanted = self.record(variant).outputs[0].dtype
            expected[f"outputs of {variant}"] = (output, wanted, (count, len(self.labels)))
        for name, (array, dtype, shape) in expected.items():
            if not count or array.shape != shape or array.dtype != dtype:
                raise BundleError(
                    f"{self.root}: golden {name} are {array.dtype} {array.shape},"
                    f" not {dtype} {shape}"
                )

    def _read(self, role: str) -> bytes:
        record = self.manifest.files.get(role)
        if record is None:
            raise BundleError(f"{self.root}: {MANIFEST} names no file for {role!r}")
        return (self.root / record.path).read_bytes()

    def _array(self, role: str) -> Array:
        try:
            return cast("Array", np.load(io.BytesIO(self._read(role)), allow_pickle=False))
        except (ValueError, EOFError) as error:
            path = self.manifest.files[role].path
            raise BundleError(f"{self.root}: {path} is not a NumPy array file") from error


def labels_txt(labels: Iterable[str]) -> bytes:
    """One label a line, UTF-8.

    Raises:
        BundleError: a label is empty, holds a line break, or is not valid Unicode.
    """
    try:
        data = "".join(f"{label}\n" for label in labels).encode()
    except UnicodeEncodeError as error:
        raise BundleError(
            f"label {error.object!r} is not valid Unicode; rename the class"
        ) from error
    for label in labels:
        if len(label.splitlines()) != 1:
            raise BundleError(f"label {label!r} is empty or holds a line break; rename the class")
    return data


def _check_file(root: Path, record: FileRecord, *, verify: bool) -> None:
    where, path = f"{root}: {record.path}", root / record.path
    if any(part.is_symlink() for part in (path, *path.parents[: record.path.count("/")])):
        raise BundleError(f"{where} is a symbolic link, which could lead out of the bundle")
    if not path.is_file():
        raise BundleError(f"{where} is missing; copy the whole folder again")
    changed = "the bundle was changed after it was written"
    size = path.stat().st_size
    if size != record.size:
        raise BundleError(f"{where} has {size} bytes, {MANIFEST} says {record.size}; {changed}")
    if not verify:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != record.sha256:
        raise BundleError(
            f"{where}: sha256 is {digest[:8]}…, {MANIFEST} says {record.sha256[:8]}…; {changed}"
        )
