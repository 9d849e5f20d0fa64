from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import DataError, MissingPackage, SourceError, UsageError
from edgenet.runner import Frame
from edgenet.stream import grabber, source, video
from edgenet.stream.fake import Fake, read_number
from edgenet.stream.grabber import Grabber
from edgenet.stream.mode import Mode
from edgenet.stream.pictures import Pictures
from edgenet.stream.source import is_live, open_frames, open_source
from edgenet.stream.stdin import RawStdin, Stdin
from edgenet.stream.video import Video

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


def png(level):
    return cv2.imencode(".png", np.full((4, 6, 3), level, np.uint8))[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    """Pictures 1 and 2, one below the other, a damaged one, and a note."""
    (tmp_path / "deeper").mkdir()
    (tmp_path / "b.PNG").write_bytes(png(1))
    (tmp_path / "deeper" / "c.png").write_bytes(png(2))
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    return tmp_path


def levels(frames):
    return [int(frame.rgb[0, 0, 0]) for frame in frames]


# pictures


def test_picture_is_one_frame(folder):
    (frame,) = open_source(str(folder / "b.PNG"))
    assert (frame.index, frame.name, frame.rgb.shape) == (0, str(folder / "b.PNG"), (4, 6, 3))
    assert frame.captured_ms > 0


def test_folder_is_searched_to_the_bottom_in_order(folder):
    skipped = []
    frames = list(open_source(str(folder), on_error=skipped.append))
    assert [Path(frame.name).name for frame in frames] == ["b.PNG", "c.png"]
    assert levels(frames) == [1, 2]
    assert [frame.index for frame in frames] == [1, 2]
    (error,) = skipped
    assert str(error).startswith(f"{folder / 'a.jpg'}: not a picture")


def test_unreadable_picture_ends_the_iteration_by_default(folder):
    with pytest.raises(DataError, match=r"a\.jpg: not a picture"):
        list(open_source(str(folder)))


@pytest.mark.parametrize(
    ("pattern", "expected"), [("*.PNG", [1]), ("**/*.png", [2]), ("*/?.png", [2]), ("[bx].*", [1])]
)
def test_glob_is_every_file_that_matches(folder, pattern, expected):
    assert levels(open_source(f"{folder}/{pattern}")) == expected


def test_hidden_files_are_passed_over(folder):
    (folder / "._b.png").write_bytes(png(3))
    (folder / ".cache").mkdir()
    (folder / ".cache" / "d.png").write_bytes(png(4))
    (folder / "a.jpg").unlink()
    assert levels(open_source(str(folder))) == [1, 2]
    assert levels(open_source(f"{folder}/**/*.[pP]*")) == [1, 2]
    # unless they are named
    assert levels(open_source(f"{folder}/.*.png")) == [3]
    assert levels(open_source(f"{folder}/.cache/*.png")) == [4]
    assert levels(open_source(f"{folder}/.cache")) == [4]


def test_glob_may_be_relative(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (frame,) = open_source("*.PNG")
    assert frame.name == "b.PNG"


def test_name_with_brackets_is_a_file_first(folder):
    (folder / "d[1].png").write_bytes(png(4))
    assert levels(open_source(f"{folder}/d[1].png")) == [4]


def test_pictures_can_be_read_twice(folder):
    pictures = Pictures([folder / "b.PNG"])
    assert levels(pictures) == levels(pictures) == [1]


def test_pictures_are_read_one_at_a_time(folder):
    frames = iter(Pictures([folder / "b.PNG", folder / "a.jpg"]))
    assert next(frames).index == 0


def test_nothing_there_names_what_is_near(folder):
    with pytest.raises(SourceError, match=r"nothing at '.*depeer'; did you mean '.*deeper'"):
        open_source(str(folder / "depeer"))


def test_glob_without_a_match_is_refused(folder):
    with pytest.raises(SourceError, match=r"no file matches '.*\*\.gif'"):
        open_source(f"{folder}/*.gif")


def test_folder_without_pictures_is_refused_with_the_suffixes(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"holds no pictures \(\.bmp .*\.jpg"):
        open_source(str(tmp_path))


# standard input


def framed(*pictures):
    return b"".join(len(data).to_bytes(4, "big") + data for data in pictures)


class Dribble(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def read(self, size=-1):
        return self.data.read(min(size, 1))


def test_pictures_come_after_their_lengths():
    frames = list(Stdin(io.BytesIO(framed(png(1), png(2)))))
    assert levels(frames) == [1, 2]
    assert [frame.name for frame in frames] == ["-#0", "-#1"]


def test_pipe_may_give_a_byte_at_a_time():
    assert levels(Stdin(Dribble(framed(png(1), png(2))))) == [1, 2]


def test_frame_is_given_before_the_next_is_read():
    stream = io.BytesIO(framed(png(1)) + b"\0")
    assert next(iter(Stdin(stream))).index == 0


def test_picture_that_cannot_be_decoded_is_left_out():
    skipped = []
    stdin = Stdin(io.BytesIO(framed(png(1), b"noise", b"", png(2))), on_error=skipped.append)
    frames = list(stdin)
    assert [frame.index for frame in frames] == [0, 3]
    assert [str(error).split(":")[0] for error in skipped] == ["-#1", "-#2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input is empty"),
        (framed(png(1))[:-1], r"ended after \d+ of the \d+ bytes of picture 0"),
        (framed(png(1)) + b"\0\0", "ended after 2 of the 4 bytes of the length of picture 1"),
        (b"\0\0\0\5", "ended after 0 of the 5 bytes of picture 0"),
        (
            b"\xff\xd8\xff\xe0 a bare JPEG",
            r"announces 4292411360 bytes for picture 0, more than 67108864; send each picture",
        ),
    ],
)
def test_malformed_stream_is_refused(data, message):
    with pytest.raises(SourceError, match=message):
        list(Stdin(io.BytesIO(data)))


def test_terminal_is_refused(monkeypatch):
    stream = io.BytesIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(source.sys, "stdin", type("stdin", (), {"buffer": stream}))
    with pytest.raises(SourceError, match="standard input is a terminal; pipe pictures into it"):
        list(open_source("-"))


# raw pixels on standard input


def test_raw_pictures_follow_one_another(monkeypatch):
    pixels = np.arange(2 * 32 * 48 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 32, 48, 3)
    stdin = type("stdin", (), {"buffer": Dribble(pixels.tobytes())})
    monkeypatch.setattr(source.sys, "stdin", stdin)
    frames = list(open_source("-:48x32"))
    np.testing.assert_array_equal([frame.rgb for frame in frames], pixels)
    assert [(frame.index, frame.name) for frame in frames] == [(0, "-#0"), (1, "-#1")]


def test_raw_picture_is_given_before_the_next_is_read():
    frames = iter(RawStdin(io.BytesIO(bytes(32 * 32 * 3 + 1)), (32, 32)))
    assert next(frames).index == 0
    with pytest.raises(SourceError, match="ended after 1 of the 3072 bytes of picture 1, 32x32"):
        next(frames)


@pytest.mark.parametrize("words", ["-:", "-:@30", "-:640x480@30", "-:640", "-:rgb"])
def test_raw_pictures_need_a_size_and_nothing_else(words):
    with pytest.raises(UsageError, match=rf"^'{words}': .*(need a size|is no size and rate)"):
        open_source(words)


def test_empty_raw_stream_is_refused():
    with pytest.raises(SourceError, match="standard input is empty"):
        list(RawStdin(io.BytesIO(), (32, 32)))


def test_raw_stream_from_a_terminal_is_refused():
    stream = io.BytesIO()
    stream.isatty = lambda: True
    with pytest.raises(SourceError, match="is a terminal; pipe 8-bit RGB pixels into it"):
        list(RawStdin(stream, (32, 32)))


# the grammar


@pytest.mark.parametrize(
    "words",
    ["picam", "picam1:640x480", "0", "2:640x480@30", "/dev/video0", "/dev/v4l/by-id/x-index0"],
)
def test_cameras_are_live_by_their_words_alone(words):
    assert is_live(words)


@pytest.mark.parametrize(
    "words",
    ["rtsp://cam/1", "rtsps://cam/1", "http://cam/", "https://cam/", "fake", "fake:64x64@5"],
)
def test_addresses_and_the_test_card_are_live_by_their_words_alone(words):
    assert is_live(words)


@pytest.mark.parametrize(
    "words", ["-", "-:640x480", "fakes", "picams", "a/fake", "./0", "0.png", "clip.avi", "*.jpg"]
)
def test_files_and_standard_input_are_finite(words):
    assert not is_live(words)


def test_what_is_open_says_whether_it_is_live(folder):
    assert not open_source(str(folder)).live
    assert not open_source("-").live
    assert not open_source("-:32x32").live
    assert open_source("fake").live


def test_camera_that_is_misspelt_is_offered():
    with pytest.raises(SourceError, match="nothing at 'picm:640x480'; did you mean the camera 'pi"):
        open_source("picm:640x480")


def test_loop_gets_files_as_they_are_and_cameras_behind_a_grabber(folder):
    assert isinstance(open_frames(str(folder)), Pictures)
    frames = open_frames("fake:64x64@1000")
    assert isinstance(frames, Grabber)
    frame = next(iter(frames))
    assert read_number(frame.rgb) == frame.index
    frames.close()


def test_words_of_a_camera_are_refused_before_the_loop_starts():
    with pytest.raises(UsageError, match=r"'fake:big': 'big' is no size and rate; .* fake:640x480"):
        open_frames("fake:big")


def test_what_a_camera_grants_is_said_once_however_often_it_is_opened(monkeypatch):
    class Twice:
        live = True

        def __init__(self, device, mode, *, on_event):
            on_event(f"{device} gives what was asked for")

        def __iter__(self):
            yield Frame(0, 0.0, np.zeros((2, 2, 3), np.uint8))

        def close(self):
            pass

    monkeypatch.setattr(source, "V4l2", Twice)
    monkeypatch.setattr(grabber, "DELAYS_S", (0.0,))
    events = []
    frames = open_frames("0", on_event=events.append)
    seen = [frame.index for frame, _ in zip(frames, range(3), strict=False)]
    frames.close()
    assert seen == sorted(set(seen))
    assert events.count("/dev/video0 gives what was asked for") == 1
    assert sum(event.startswith("the camera is lost: the source ended") for event in events) >= 2


# video


@pytest.fixture
def clip(tmp_path):
    """Three frames whose red is 10, 90 and 170."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for red in (10, 90, 170):
        writer.write(np.full((48, 64, 3), (0, 0, red), np.uint8))
    writer.release()
    return path


def test_video_gives_every_frame_as_rgb(clip):
    opened = open_source(str(clip))
    assert isinstance(opened, Video)
    frames = list(opened)
    opened.close()
    assert [frame.name for frame in frames] == [f"{clip}#{index}" for index in range(3)]
    np.testing.assert_allclose(levels(frames), [10, 90, 170], atol=3)
    assert frames[2].rgb[0, 0, 2] < 5


def test_damaged_video_is_refused_in_silence(tmp_path, capfd):
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"abc" * 100)
    with pytest.raises(SourceError, match=r"bad\.mp4: OpenCV cannot open it as a video"):
        open_source(str(path))
    assert capfd.readouterr() == ("", "")


def test_video_without_a_frame_is_refused(clip, monkeypatch):
    opened = Video(clip)
    while opened._capture.read()[0]:
        pass
    with pytest.raises(SourceError, match=r"clip\.avi: no frame of it can be decoded"):
        list(opened)


def encode(path, frames, *options):
    """A video of the test card, by ffmpeg."""
    card = Fake(Mode((64, 64)))
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x64"]
    command += ["-r", "10", "-i", "-", *options, str(path)]
    raw = b"".join(card.picture(number).tobytes() for number in range(frames))
    subprocess.run(command, input=raw, check=True)
    return path


@pytest.mark.tool("ffmpeg")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", ["-movflags", "+faststart"]),
        ("clip.avi", []),
        ("clip.mkv", []),
        ("uneven.mkv", ["-vf", "setpts=N*N/100/TB", "-fps_mode", "vfr"]),
        ("clip.ts", []),
        ("clip.mjpeg", []),
        ("clip.h264", ["-c:v", "libx264"]),
    ],
)
def test_whole_video_raises_no_complaint(tmp_path, name, options):
    path = encode(tmp_path / name, 40, *options)
    frames = list(open_source(str(path)))
    assert len(frames) >= 38  # ffmpeg itself leaves out one of two at the same time


@pytest.mark.tool("ffmpeg")
@pytest.mark.parametrize(
    ("name", "options"),
    [("clip.mp4", ["-movflags", "+faststart"]), ("clip.avi", []), ("clip.mkv", [])],
)
def test_video_cut_short_is_said_once_after_its_last_frame(tmp_path, name, options):
    path = encode(tmp_path / name, 40, *options, "-g", "5", "-bf", "0")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    told = []
    frames = list(open_source(str(path), on_error=told.append))
    assert 1 < len(frames) < 38
    (error,) = told
    assert re.search(
        rf"{name}: the video is cut short or damaged: {len(frames)} of about \d+ frames can be"
        " decoded; copy the file again",
        str(error),
    )
    # by default it ends the iteration, after all that is left
    seen = []
    with pytest.raises(DataError, match="cut short"):
        seen.extend(frame.index for frame in open_source(str(path)))


def test_missing_opencv_is_named_with_the_command(clip, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingPackage, match=r"reading a video needs OpenCV.*'edgenet\[image\]'"):
        video.Video(clip)
