from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenet import image
from edgenet.errors import DataError, MissingPackage
from edgenet.spec import Preprocess, TensorSpec

GOLDEN = Path(__file__).parent / "golden"
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


def picture(height=24, width=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height=24, width=32):
    return cv2.resize(picture(4, 4), (width, height), interpolation=cv2.INTER_CUBIC)


def encode(kind, pixels, *parameters):
    """Encode RGB, RGBA or grey pixels as OpenCV does, which counts channels from blue."""
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return cv2.imencode(kind, pixels, list(parameters))[1].tobytes()


def with_rotation(jpeg, orientation):
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    payload = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def png_with_rotation(png, orientation):
    body = b"eXIfII*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def box_average(pixels, rows, columns):
    """Average over boxes in exact fractions, rounded half up; the definition, slowly."""
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    top, left = (pixels.shape[0] - height * rows) // 2, (pixels.shape[1] - width * columns) // 2
    out = np.zeros((height, width, 3), np.uint8)
    for y, x, c in np.ndindex(out.shape):
        box = pixels[top + y * rows :, left + x * columns :, c][:rows, :columns]
        out[y, x, c] = int(Fraction(int(box.sum()), rows * columns) + Fraction(1, 2))
    return out


# decoding


@pytest.mark.parametrize("kind", [".png", ".bmp", ".tiff", ".webp"])
def test_lossless_formats_decode_to_the_same_rgb(kind):
    pixels = picture()
    parameters = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == ".webp" else []
    decoded = image.decode_rgb(encode(kind, pixels, *parameters), "p")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(pixels, decoded)


def test_jpeg_keeps_red_red():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_allclose(red, image.decode_rgb(encode(".jpg", red), "p"), atol=2)


def test_grey_becomes_three_equal_channels():
    grey = picture()[..., 0]
    decoded = image.decode_rgb(encode(".png", grey), "p")
    np.testing.assert_array_equal(np.stack([grey] * 3, axis=2), decoded)


def test_cmyk_becomes_rgb():
    decoded = image.read_rgb(GOLDEN / "cmyk.jpg")
    assert decoded.shape == (8, 16, 3)
    np.testing.assert_allclose(np.broadcast_to([255, 0, 0], decoded.shape), decoded, atol=3)


def test_sixteen_bits_become_eight():
    pixels = picture()
    decoded = image.decode_rgb(encode(".png", pixels.astype(np.uint16) * 257), "p")
    np.testing.assert_array_equal(pixels, decoded)


def test_alpha_is_composited_on_black():
    rgba = np.dstack([picture(), picture(seed=1)[..., 0]])
    exact = rgba[..., :3] * (rgba[..., 3:].astype(np.float64) / 255)
    np.testing.assert_array_equal(np.rint(exact), image.decode_rgb(encode(".png", rgba), "p"))


def test_sixteen_bit_alpha_is_composited_on_black():
    rgba = np.dstack([picture(), picture(seed=1)[..., 0]])
    expected = image.decode_rgb(encode(".png", rgba), "p")
    wide = encode(".png", rgba.astype(np.uint16) * 257)
    np.testing.assert_array_equal(expected, image.decode_rgb(wide, "p"))


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda p: p),
        (2, np.fliplr),
        (3, lambda p: np.rot90(p, 2)),
        (4, np.flipud),
        (5, lambda p: np.fliplr(np.rot90(p, -1))),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: np.fliplr(np.rot90(p, 1))),
        (8, lambda p: np.rot90(p, 1)),
    ],
)
def test_exif_rotation_is_applied(orientation, turn):
    jpeg = encode(".jpg", smooth())
    upright = image.decode_rgb(jpeg, "p")
    turned = image.decode_rgb(with_rotation(jpeg, orientation), "p")
    np.testing.assert_array_equal(turn(upright), turned)


def test_transparent_picture_with_a_rotation_mark_is_refused():
    rgba = np.dstack([picture(), picture(seed=1)[..., 0]])
    data = png_with_rotation(encode(".png", rgba), 6)
    with pytest.raises(DataError, match=r"^cat\.png: has both transparency and a rotation mark"):
        image.decode_rgb(data, "cat.png")


@pytest.mark.parametrize("kind", [".jpg", ".png", ".bmp", ".tiff", ".webp"])
def test_file_cut_short_is_refused_by_name(kind, capfd):
    data = encode(kind, smooth(64, 64))
    with pytest.raises(DataError, match=r"^dog: "):
        image.decode_rgb(data[: len(data) // 2], "dog")
    assert capfd.readouterr() == ("", "")


def test_damaged_png_is_refused_without_a_word_from_libpng(capfd):
    data = bytearray(encode(".png", picture()))
    data[100] ^= 0xFF
    with pytest.raises(DataError, match="dog: the PNG is cut short or damaged"):
        image.decode_rgb(bytes(data), "dog")
    assert capfd.readouterr() == ("", "")


def test_bytes_that_are_no_picture_are_refused():
    with pytest.raises(
        DataError, match=r"notes\.txt: not a picture that OpenCV can decode; use JPEG"
    ):
        image.decode_rgb(b"hello, world", "notes.txt")


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"empty\.jpg: the file is empty"):
        image.read_rgb(tmp_path / "empty.jpg")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg: cannot be read \(No such file"):
        image.read_rgb(tmp_path / "gone.jpg")


def test_missing_opencv_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingPackage, match=r"needs OpenCV.*pip install 'edgenet\[image\]'"):
        image.decode_rgb(b"\xff\xd8\xff", "p")


# fitting


def test_picture_of_the_right_size_is_unchanged():
    pixels = picture(24, 32)
    np.testing.assert_array_equal(pixels, image.fit(pixels, Preprocess(24, 32)))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    extra=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_shrinking_is_the_box_average_rounded_half_up(rows, columns, height, width, extra):
    pixels = picture(
        height * rows + min(extra[0], rows - 1), width * columns + min(extra[1], columns - 1)
    )
    # The remainder is under one box, so nothing is left for the bilinear step only where the
    # factor found is the factor meant.
    if pixels.shape[0] // height == rows and pixels.shape[1] // width == columns:
        expected = box_average(pixels, rows, columns)
        np.testing.assert_array_equal(expected, image.fit(pixels, Preprocess(height, width)))


def test_largest_box_of_sixteen_bit_sums_does_not_overflow():
    white = np.full((32, 32, 3), 255, np.uint8)
    np.testing.assert_array_equal(white[:2, :2], image.fit(white, Preprocess(2, 2)))


@settings(deadline=None, max_examples=80)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    output=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_shrinking_is_the_plain_box_average_and_one_exact_resize_to_the_last_bit(size, output):
    """Of three channels as they are, in numpy: the roads that ``fit`` takes must end there."""
    pixels = picture(*size, seed=sum(size))
    rows, columns = (max(1, have // want) for have, want in zip(size, output, strict=True))
    rest = tuple(have // by * by for have, by in zip(size, (rows, columns), strict=True))
    top, left = (size[0] - rest[0]) // 2, (size[1] - rest[1]) // 2
    boxes = box_average(pixels[top : top + rest[0], left : left + rest[1]], rows, columns)
    expected = cv2.resize(boxes, output[::-1], interpolation=cv2.INTER_LINEAR_EXACT)
    np.testing.assert_array_equal(expected, image.fit(pixels, Preprocess(*output)))


@pytest.mark.parametrize("side", [96, 128, 160, 192, 224])
@pytest.mark.parametrize("resize", ["stretch", "center-crop", "letterbox"])
def test_a_camera_frame_with_gaps_between_its_rows_is_fitted_as_one_without(side, resize):
    padded = picture(480, 672, seed=3)
    preprocess = Preprocess(side, side, resize)
    fitted = image.fit(padded[:, :640], preprocess)
    np.testing.assert_array_equal(fitted, image.fit(padded[:, :640].copy(), preprocess))
    mirrored = image.fit(padded[:, :640][..., ::-1], preprocess)
    np.testing.assert_array_equal(fitted[..., ::-1], mirrored)


def test_fit_gives_the_same_bytes_everywhere():
    """The digest was taken with OpenCV 4.11, 4.13 and 5.0 on x86-64; it must never change."""
    digest = 0
    for height, width in [(480, 640), (97, 131), (33, 20), (5, 7)]:
        pixels = picture(height, width, seed=height)
        for resize in ("stretch", "center-crop", "letterbox"):
            digest = zlib.crc32(image.fit(pixels, Preprocess(24, 32, resize)).tobytes(), digest)
    assert digest == 2146258914


def test_stretch_ignores_the_aspect_ratio():
    pixels = np.zeros((20, 80, 3), np.uint8)
    pixels[:, 40:] = 200
    fitted = image.fit(pixels, Preprocess(10, 10))
    np.testing.assert_array_equal([0] * 5 + [200] * 5, fitted[3, :, 0])


def test_center_crop_keeps_the_middle():
    pixels = np.zeros((20, 80, 3), np.uint8)
    pixels[:, 30:50] = 200
    fitted = image.fit(pixels, Preprocess(10, 10, "center-crop"))
    np.testing.assert_array_equal(np.full((10, 10, 3), 200), fitted)


def test_letterbox_pads_with_black_in_the_middle():
    pixels = np.full((20, 80, 3), 200, np.uint8)
    fitted = image.fit(pixels, Preprocess(8, 8, "letterbox"))
    expected = np.zeros((8, 8, 3), np.uint8)
    expected[3:5] = 200
    np.testing.assert_array_equal(expected, fitted)


@settings(deadline=None, max_examples=80)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    output=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    resize=st.sampled_from(["stretch", "center-crop", "letterbox"]),
    level=st.integers(0, 255),
)
def test_any_size_fits_and_a_flat_picture_stays_flat(size, output, resize, level):
    flat = np.full((*size, 3), level, np.uint8)
    fitted = image.fit(flat, Preprocess(*output, resize))
    assert (*output, 3) == fitted.shape
    assert fitted.dtype == np.uint8
    assert set(np.unique(fitted)) <= ({0, level} if resize == "letterbox" else {level})


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)],
)
def test_fit_takes_only_uint8_rgb(bad):
    with pytest.raises(ValueError, match=r"a picture is uint8 \(H, W, 3\)"):
        image.fit(bad, Preprocess(2, 2))


# normalizing


def test_default_normalization_is_pixel_over_255():
    pixels = picture()
    normalized = image.normalize(pixels, Preprocess(24, 32))
    assert normalized.dtype == np.float32
    np.testing.assert_array_equal(pixels / np.float32(255), normalized)


def test_mean_and_std_are_per_channel():
    preprocess = Preprocess(24, 32, mean=(0.1, 0.2, 0.3), std=(1.0, 0.5, 0.25))
    pixels = np.broadcast_to(np.uint8([0, 51, 255]), (24, 32, 3)).copy()
    expected = [-0.1, 0.0, 2.8]
    np.testing.assert_allclose(
        np.broadcast_to(expected, (24, 32, 3)), image.normalize(pixels, preprocess), atol=1e-6
    )


# the model's input


def tensor(dtype="int8", scale=1 / 255, zero_point=-128):
    scale = float(np.float32(scale))
    return TensorSpec("input", (1, 24, 32, 3), dtype, (scale,), (zero_point,))


@pytest.fixture
def no_float_picture(monkeypatch):
    def refuse(pixels, preprocess):
        raise AssertionError("a float picture was made")

    monkeypatch.setattr(image, "normalize", refuse)


def test_int8_input_is_the_pixel_minus_128(no_float_picture):
    pixels = picture()
    made = image.as_tensor(pixels, Preprocess(24, 32), tensor())
    assert (made.shape, made.dtype) == ((1, 24, 32, 3), np.int8)
    np.testing.assert_array_equal(pixels.astype(int) - 128, made[0])


def test_int8_input_is_one_subtraction(no_float_picture, monkeypatch):
    calls = []
    subtract = np.subtract
    monkeypatch.setattr(
        image.np, "subtract", lambda *a, **to: calls.append(a) or subtract(*a, **to)
    )
    image.as_tensor(picture(), Preprocess(24, 32), tensor())
    ((pixels, shift),) = calls
    assert (pixels.dtype, shift.dtype, shift) == (np.uint8, np.uint8, 128)


def test_uint8_input_with_the_same_scale_is_the_pixel(no_float_picture):
    pixels = picture()
    made = image.as_tensor(pixels, Preprocess(24, 32), tensor("uint8", zero_point=0))
    assert (made.shape, made.dtype) == ((1, 24, 32, 3), np.uint8)
    assert np.shares_memory(pixels, made)
    np.testing.assert_array_equal(pixels, made[0])


def test_int16_input_with_a_128th_of_the_scale_is_128_times_the_pixel(no_float_picture):
    pixels = picture()
    made = image.as_tensor(pixels, Preprocess(24, 32), tensor("int16", 1 / 32640, 0))
    assert (made.shape, made.dtype) == ((1, 24, 32, 3), np.int16)
    np.testing.assert_array_equal(pixels.astype(np.int16) * 128, made[0])


def test_int16_input_that_is_the_pixel_minus_128_is_not_written_as_bytes(no_float_picture):
    pixels = picture()
    made = image.as_tensor(pixels, Preprocess(24, 32), tensor("int16"))
    np.testing.assert_array_equal(pixels.astype(np.int16) - 128, made[0])


def test_fill_writes_what_as_tensor_makes_into_memory_that_is_there():
    pixels, preprocess = picture(), Preprocess(24, 32)
    for wanted in (
        tensor(),
        tensor("uint8", zero_point=0),
        tensor("int8", 0.02, 3),
        tensor("int16", 1 / 32640, 0),
        TensorSpec("input", (1, 24, 32, 3), "float32"),
    ):
        memory = np.zeros(wanted.shape, wanted.dtype)
        image.fill(memory, pixels, preprocess, wanted)
        np.testing.assert_array_equal(image.as_tensor(pixels, preprocess, wanted), memory)


def test_a_planar_input_has_its_channels_apart():
    pixels, preprocess = picture(), Preprocess(24, 32)
    planar = TensorSpec("input", (1, 3, 24, 32), "float32")
    made = image.as_tensor(pixels, preprocess, planar)
    assert (made.shape, made.flags.c_contiguous) == ((1, 3, 24, 32), True)
    np.testing.assert_array_equal(image.normalize(pixels, preprocess), made[0].transpose(1, 2, 0))


@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 1)] * 3),
    scale=st.floats(0.002, 0.05),
    zero_point=st.integers(-128, 127),
)
def test_any_int8_input_is_the_rounded_real_value(mean, std, scale, zero_point):
    levels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(8, 32, 3)
    preprocess = Preprocess(8, 32, mean=mean, std=std)
    made = image.as_tensor(levels, preprocess, tensor("int8", scale, zero_point))[0]
    assert made.dtype == np.int8
    real = (levels / 255 - np.array(mean)) / np.array(std) / float(np.float32(scale)) + zero_point
    clipped = np.clip(real, -128, 127)
    assert np.max(np.abs(made - clipped)) <= 0.5 + 1e-9


def test_float_input_is_normalized():
    pixels, preprocess = picture(), Preprocess(24, 32, mean=(0.5,) * 3, std=(0.5,) * 3)
    made = image.as_tensor(pixels, preprocess, TensorSpec("input", (1, 24, 32, 3), "float32"))
    assert (made.shape, made.dtype) == ((1, 24, 32, 3), np.float32)
    np.testing.assert_array_equal(image.normalize(pixels, preprocess), made[0])


@pytest.mark.parametrize(
    "bad", [TensorSpec("x", (1,), "int32", (1.0,), (0,)), TensorSpec("x", (1,), "int8")]
)
def test_input_of_another_type_or_without_scale_is_refused(bad):
    with pytest.raises(ValueError, match=r"input 'x' is int(8|32) with scale"):
        image.as_tensor(picture(), Preprocess(24, 32), bad)


def test_a_jpeg_shows_the_picture_in_the_same_colours_and_is_shrunk_to_its_longest_side():
    rgb = np.zeros((100, 200, 3), np.uint8)
    rgb[:, :100] = (200, 30, 60)
    for max_side, shape in ((None, (100, 200)), (200, (100, 200)), (50, (25, 50)), (1, (1, 1))):
        shown = image.decode_rgb(image.encode_jpeg(rgb, max_side=max_side), "it")
        assert shown.shape == (*shape, 3)
    assert np.abs(shown.astype(int) - (100, 15, 30)).max() < 8
    large = image.decode_rgb(image.encode_jpeg(rgb), "it").astype(int)
    assert np.abs(large[50, 50] - (200, 30, 60)).max() < 8


def test_a_jpeg_of_lower_quality_is_smaller():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(image.encode_jpeg(rgb, quality=20)) < len(image.encode_jpeg(rgb, quality=90)) / 2


def test_only_uint8_rgb_becomes_a_jpeg():
    with pytest.raises(ValueError, match="uint8"):
        image.encode_jpeg(np.zeros((4, 4, 3), np.float32))


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_planes_hold_what_pixels_hold(dtype):
    scale = (
        {}
        if dtype == "float32"
        else {"scale": (1 / 255,), "zero_point": (-128 * (dtype == "int8"),)}
    )
    preprocess = Preprocess(24, 32, mean=(0.1, 0.2, 0.3) if dtype == "float32" else (0, 0, 0))
    pixels = picture()
    last, first = (
        image.as_tensor(pixels, preprocess, TensorSpec("x", shape, dtype, **scale))
        for shape in ((1, 24, 32, 3), (1, 3, 24, 32))
    )
    assert (last.shape, first.shape) == ((1, 24, 32, 3), (1, 3, 24, 32))
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(np.moveaxis(first, 1, 3), last)
