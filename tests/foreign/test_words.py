"""Labels and normalization: what a user gives, and what is made of it."""

from __future__ import annotations

import numpy as np
import pytest

from edgenet.errors import DataError, ExportError, UsageError
from edgenet.foreign import PRESETS, labels, preprocess
from edgenet.foreign.labels import read_labels
from edgenet.foreign.preprocess import Normalization, agreed, given_by_name, identity, of_pixels
from edgenet.image import as_tensor
from edgenet.spec import Preprocess, TensorSpec


def write(tmp_path, content):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\ndog", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\ndog\n\n", ("cat", "dog")),
        (b"0  cat\n1  great dane\n", ("cat", "great dane")),
        (b"0: cat\n1: dog\n", ("cat", "dog")),
        (b"0,cat\n1,dog\n", ("cat", "dog")),
        (b"1 cat\n2 dog\n", ("1 cat", "2 dog")),
        (b"7 up\ndog\n", ("7 up", "dog")),
        ("Käfer\n".encode(), ("Käfer",)),
    ],
)
def test_labels_are_lines_and_numbers_from_0_go(tmp_path, content, expected):
    assert read_labels(write(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no labels; write one class a line"),
        (b"cat\n\ndog\n", "line 2 is empty"),
        (b"caf\xe9\n", "is not UTF-8 text"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(tmp_path, content, sentence):
    with pytest.raises(DataError, match=sentence):
        read_labels(write(tmp_path, content))
    with pytest.raises(DataError, match="nothing at"):
        read_labels(tmp_path / "none.txt")


NAMES = tuple(f"class {i}" for i in range(1000))


def test_labels_fit_the_model_or_the_option_that_makes_them_is_named():
    assert labels.fit(NAMES, 1000, None, model="m") == NAMES
    with pytest.raises(
        UsageError, match=r"gives 1001 values, but there are 1000 .*--background add"
    ):
        labels.fit(NAMES, 1001, None, model="m")
    assert labels.fit(NAMES, 1001, "add", model="m") == ("background", *NAMES)
    with pytest.raises(UsageError, match=r"'class 0', may be a background .*--background drop"):
        labels.fit(NAMES, 999, None, model="m")
    assert labels.fit(NAMES, 999, "drop", model="m") == NAMES[1:]
    with pytest.raises(UsageError, match=r"gives 10 values, .* 1000 labels; give the labels that"):
        labels.fit(NAMES, 10, None, model="m")
    with pytest.raises(UsageError, match="gives 1000 values, but there are 1001 labels; give"):
        labels.fit(NAMES, 1000, "add", model="m")


def test_presets_are_what_their_users_mean():
    white, value = np.full((1, 1, 3), 255, np.uint8), TensorSpec("x", (), "float32")
    ends = {
        name: [
            float(as_tensor(pixel, Preprocess(1, 1, "stretch", *found), value)[0, 0, 0, 1])
            for pixel in (white * 0, white)
        ]
        for name, found in PRESETS.items()
    }  # fmt: skip
    assert ends["tf"] == [-1, 1]
    assert ends["unit"] == [0, 1]
    assert ends["pixels"] == pytest.approx([0, 255], rel=1e-5)
    assert ends["torch"] == pytest.approx([-0.456 / 0.224, 0.544 / 0.224], rel=1e-6)


def test_numbers_of_one_or_three_channels():
    assert given_by_name(None, None, None) is None
    assert given_by_name("tf", None, None) == PRESETS["tf"]
    assert given_by_name(None, [0.5], [0.25]) == Normalization((0.5,) * 3, (0.25,) * 3)
    assert given_by_name(None, [0.1, 0.2, 0.3], None).std == (1, 1, 1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("tf", [0.5], None), "--preprocess names mean and std; drop it"),
        ((None, [0.5, 0.5], None), "--mean has 2 values; give one, or one each of R,G,B"),
        ((None, None, [0.0]), "--std is 0; it must be above 0"),
        ((None, [127.5], [127.5]), "--mean 127.5 is for pixels of 0 to 255; divide"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(given, sentence):
    with pytest.raises(UsageError, match=sentence):
        given_by_name(*given)


def test_metadata_counts_pixels_to_255():
    assert of_pixels([127.5], [127.5]) == PRESETS["tf"]
    assert of_pixels([0, 0, 0], [255, 255, 255]) == PRESETS["unit"]
    for bad in (([1, 2], [1]), ([0], [0])):
        with pytest.raises(ValueError, match="are not of three channels"):
            of_pixels(*bad)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"),
    [("uint8", 1 / 127.5, 128), ("int8", 1 / 127.5, 0), ("uint8", 0.02, 3)],
)
def test_integer_without_a_word_is_the_pixel_itself(dtype, scale, zero):
    tensor = TensorSpec("x", (1, 16, 16, 3), dtype, (scale,), (zero,))
    pixels = np.arange(768, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8)
    found = as_tensor(pixels, Preprocess(16, 16, "stretch", *identity(tensor)), tensor)[0]
    expected = pixels if dtype == "uint8" else (pixels.astype(int) - 128)
    assert np.array_equal(found, expected)


def test_files_must_agree():
    near = Normalization((0.50001,) * 3, (0.5,) * 3)
    assert agreed({"a": PRESETS["tf"], "b": near}) == PRESETS["tf"]
    assert agreed({}) is None
    with pytest.raises(ExportError, match=r"a and b state other normalizations, .*--preprocess"):
        agreed({"a": PRESETS["tf"], "b": PRESETS["unit"]})


def test_identity_needs_an_integer():
    with pytest.raises(ValueError, match="is float32 of 0 scales"):
        preprocess.identity(TensorSpec("x", (1, 2, 2, 3), "float32"))
