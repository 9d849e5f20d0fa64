"""What a user can cause, each with the exit code that the command line ends with.

EdgenetError            1  anything below; never raised itself
├── UsageError          2  an option or argument has a value that is not allowed
├── MissingPackage      1  a package that this step needs is not installed
│   └── MissingDevice   1  an accelerator or the library that drives it is not there
├── DataError           1  a picture, a folder or a data set cannot be used
├── CheckpointError     1  a checkpoint cannot be read or does not fit
├── TrainingError       1  the loss of a training is no longer a number, or it cannot go on
│   └── Interrupted     1  the user interrupted it; the same run can go on
├── BundleError         1  a bundle is malformed, changed, or newer than this reader
├── RecordError         1  a saved measurement cannot be read or written
├── TargetError         1  a target folder is malformed or lacks what it needs
├── SourceError         1  a source of frames cannot be opened or ended early
├── SinkError           1  a place that results go to cannot be used
├── GraphError          1  a .tflite file is malformed or holds what this step does not support
├── RemoteError         1  another machine cannot be reached or a command failed there
├── DeployError         1  a release could not be installed, or was taken back
├── EngineError         1  an inference engine refused a model
├── ExportError         1  a model cannot be exported as asked
└── LimitExceeded       3  a limit on accuracy or drift was broken
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class EdgenetError(Exception):
    """Something a user can cause and mend; the message is one sentence that says how."""

    exit_code = 1


class UsageError(EdgenetError):
    """An option or argument has a value that is not allowed."""

    exit_code = 2


class MissingPackage(EdgenetError):
    """A package that this step needs is not installed."""

    def __init__(self, package: str, extra: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs {package}, which is not installed; "
            f"run: pip install 'edgenet[{extra}]'"
        )


class MissingDevice(MissingPackage):
    """An accelerator that this step needs, or the library that drives it, is not there."""

    def __init__(self, message: str) -> None:
        EdgenetError.__init__(self, message)


class DataError(EdgenetError):
    """A picture, a folder or a data set cannot be used."""


class CheckpointError(EdgenetError):
    """A checkpoint cannot be read or does not fit what is asked of it."""


class TrainingError(EdgenetError):
    """The loss of a training is no longer a number, or it cannot go on."""


class Interrupted(TrainingError):
    """The user interrupted a training, which can go on."""


class BundleError(EdgenetError):
    """A bundle is malformed, was changed after it was written, or is newer than this reader."""


class RecordError(EdgenetError):
    """A saved measurement cannot be read or written."""


class TargetError(EdgenetError):
    """A target folder is malformed or lacks what it needs."""


class SourceError(EdgenetError):
    """A source of frames cannot be opened, or ended before it should."""


class SinkError(EdgenetError):
    """A place that results go to cannot be used."""


class GraphError(EdgenetError):
    """A .tflite file is malformed, or holds what this step does not support."""


class RemoteError(EdgenetError):
    """Another machine cannot be reached, or a command failed there."""


class DeployError(EdgenetError):
    """A release could not be installed, or was taken back."""


class EngineError(EdgenetError):
    """An inference engine refused a model or is not available for it."""


class ExportError(EdgenetError):
    """A model cannot be exported as asked."""


class LimitExceeded(EdgenetError):
    """A limit on accuracy or drift was broken."""

    exit_code = 3


def unknown(what: str, value: str, allowed: Iterable[str]) -> str:
    """The sentence that refuses ``value``: the nearest allowed name, then all of them.

    >>> unknown("target", "rip", ["pc", "rpi"])
    "no target 'rip'; did you mean 'rpi'? (pc, rpi)"
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; choose one of"
    return f"no {what} {value!r}{hint} ({', '.join(names)})"


def nothing_at(path: Path | str, otherwise: str = "") -> str:
    """The sentence that refuses a path where there is nothing: the nearest name beside it.

    Args:
        path: where nothing is.
        otherwise: what to do where no name is near, such as "edgenet export makes a bundle".

    >>> nothing_at("bundles/rip")
    "nothing at 'bundles/rip'"
    """
    path = Path(path)
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        beside = []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"did you mean {str(path.parent / near[0])!r}?" if near else otherwise
    hint = hint and f"; {hint}"
    return f"nothing at {str(path)!r}{hint}"
