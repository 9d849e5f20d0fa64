"""Where frames come from: the one grammar of ``--source``."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgenet.errors import SourceError, UsageError, nothing_at
from edgenet.runner import Source
from edgenet.spec import Preprocess
from edgenet.stream.ahead import Ahead
from edgenet.stream.fake import Fake
from edgenet.stream.grabber import GIVE_UP_S, Grabber
from edgenet.stream.mjpeg import Mjpeg
from edgenet.stream.mode import Mode
from edgenet.stream.network import Rtsp
from edgenet.stream.network import parse as parse_address
from edgenet.stream.picam import Picam
from edgenet.stream.pictures import OnError, Pictures, in_folder, is_pattern, matching, refuse
from edgenet.stream.stdin import RawStdin, Stdin
from edgenet.stream.v4l2 import V4l2
from edgenet.stream.video import VIDEO_SUFFIXES, Video

OnEvent = Callable[[str], None]

_PICAM = re.compile(r"picam(\d?)(?::(.*))?", re.ASCII)
_FAKE = re.compile(r"fake(?::(.*))?")
_DEVICE = re.compile(r"(\d{1,3}|/dev/video\d+)(?::(.*))?", re.ASCII)
# its names hold colons themselves
_DEVICE_BY_PATH = re.compile(r"(/dev/v4l/\S+?)(?::([\dx@.]+))?", re.ASCII)
_RAW_STDIN = re.compile(r"-:(.*)")


def _ignore(event: str) -> None:
    del event


def open_source(source: str, *, on_error: OnError = refuse, on_event: OnEvent = _ignore) -> Source:
    """Open what ``--source`` names; docs/sources.md is the grammar.

    Args:
        source: a camera (``picam``, ``0``, ``/dev/video0``), an address (``rtsp://``, ``http://``),
            ``fake``, a picture, a folder (searched with its subfolders), a glob (``**`` too), a
            video file, or ``-`` for pictures on standard input.  Folders and globs pass over
            hidden files, but for a glob that names a leading dot.
        on_error: told of each picture that cannot be read, which is then left out, and of a video
            that is cut short; by default the first one ends the iteration.
        on_event: told in words what a camera grants.

    Raises:
        MissingPackage: a package that the source needs is not installed.
        SourceError: there is nothing, or no picture in it, or the camera cannot be opened.
        UsageError: the words are none of these.
    """
    live = _live(source, on_event)
    return live() if live is not None else _finite(source, on_error)


def is_live(source: str) -> bool:
    """Whether ``source`` names a camera or a stream, by its words alone.

    Raises:
        UsageError: the words are wrong.
    """
    return _live(source, _ignore) is not None


def open_frames(
    source: str,
    *,
    on_error: OnError = refuse,
    on_event: OnEvent = _ignore,
    on_lost: OnEvent | None = None,
    give_up_s: float = GIVE_UP_S,
    ahead: Preprocess | None = None,
) -> Source | Grabber:
    """Open what ``--source`` names as a loop wants it: a live source behind a ``Grabber``.

    Args:
        source: as for ``open_source``.
        on_error: as for ``open_source``.
        on_event: told in words, from another thread, what a live source grants, once, and each
            time that it is back.
        on_lost: told likewise each time that it is lost; ``on_event`` by default.
        give_up_s: seconds without a frame after which a live source is an error.
        ahead: what the thread that reads a live source fits its frames to; None leaves them.

    Raises:
        UsageError: the words of ``source`` are wrong.
        SourceError: a finite source cannot be opened; a live one raises when it is iterated.
    """
    said: set[str] = set()

    def say_once(event: str) -> None:
        if event not in said:
            said.add(event)
            on_event(event)

    live = _live(source, say_once)
    if live is None:
        return _finite(source, on_error)
    opening = live if ahead is None else partial(_open_ahead, live, ahead)
    return Grabber(opening, on_event=on_event, on_lost=on_lost, give_up_s=give_up_s)


def _open_ahead(live: Callable[[], Source], preprocess: Preprocess) -> Source:
    return Ahead(live(), preprocess)


def _live(source: str, on_event: OnEvent) -> Callable[[], Source] | None:
    """What opens a live source; None for any other."""
    if "://" in source:
        kind = Rtsp if parse_address(source).scheme.startswith("rtsp") else Mjpeg
        return partial(kind, source)
    if found := _FAKE.fullmatch(source):
        return partial(Fake, Mode.parse(found[1] or "", source))
    if found := _PICAM.fullmatch(source):
        mode = Mode.parse(found[2] or "", source)
        return partial(Picam, int(found[1] or 0), mode, on_event=on_event)
    if found := _DEVICE.fullmatch(source) or _DEVICE_BY_PATH.fullmatch(source):
        device = f"/dev/video{found[1]}" if found[1].isdecimal() else found[1]
        return partial(V4l2, device, Mode.parse(found[2] or "", source), on_event=on_event)
    return None


def _finite(source: str, on_error: OnError) -> Source:
    if source == "-":
        return Stdin(sys.stdin.buffer, on_error=on_error)
    if found := _RAW_STDIN.fullmatch(source):
        return RawStdin(sys.stdin.buffer, _raw_size(found[1], source))
    path = Path(source)
    if path.is_dir():
        return Pictures(in_folder(path), on_error=on_error)
    if path.exists():
        if path.suffix.lower() in VIDEO_SUFFIXES:
            return Video(path, on_error=on_error)
        return Pictures([path], on_error=on_error)
    if is_pattern(source):
        return Pictures(matching(source), on_error=on_error)
    raise SourceError(_nothing(source))


def _raw_size(text: str, source: str) -> tuple[int, int]:
    mode = Mode.parse(text, source)
    if mode.size is None or mode.fps is not None:
        raise UsageError(
            f"{source!r}: raw pictures on standard input need a size and no rate, as in -:640x480"
        )
    return mode.size


def _nothing(source: str) -> str:
    near = difflib.get_close_matches(source.partition(":")[0], ["picam", "fake"], n=1)
    hint = f"; did you mean the camera {near[0]!r}?" if near else ""
    return nothing_at(source) + hint
