from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from edgenet.errors import DataError, MissingPackage, SourceError
from edgenet.stream import source, video
from edgenet.stream.source import Pictures, Stdin, open_source
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


def test_missing_opencv_is_named_with_the_command(clip, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingPackage, match=r"reading a video needs OpenCV.*'edgenet\[image\]'"):
        video.Video(clip)
