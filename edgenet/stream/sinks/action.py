"""A command that runs when a class was seen for some frames in a row."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from edgenet.errors import UsageError, unknown
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks.pace import Streak
from edgenet.stream.sinks.secret import without_secrets

INTERVAL_S = 5.0
_FAREWELL_S = 0.4


class Action:
    """Starts a command, once for each streak of its label.

    The command is no shell's: its words are split once, before any frame is seen, and what was
    seen reaches it in the environment alone (``EDGENET_LABEL``, ``EDGENET_PROBABILITY``,
    ``EDGENET_FRAME``, ``EDGENET_NAME``, ``EDGENET_TIME``), which holds no secret of edgenet's.  A
    thread starts it and waits for it.
    It is not started again while it still runs, nor before ``interval_s`` have passed.

    Args:
        label: that starts it.
        frames: in a row.
        argv: the command's words.
        say: told of a command that fails.
        interval_s: least seconds between two starts.
    """

    def __init__(
        self,
        label: str,
        frames: int,
        argv: Sequence[str],
        *,
        say: Callable[[str], None],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.argv = tuple(argv)
        self.interval_s = interval_s
        self._say = say
        self._streak = Streak(label, frames)
        self._started_s = -float("inf")
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = False

    def publish(self, result: Result, frame: Frame) -> None:
        """Start the command when the streak is long enough."""
        del frame
        if not self._streak.begins(result.label):
            return
        now = time.monotonic()
        running = self._thread is not None and self._thread.is_alive()
        if running or now - self._started_s < self.interval_s:
            return
        self._started_s = now
        self._thread = threading.Thread(
            target=self._run, args=(_seen(result),), name="action", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Let a command that runs finish, for a moment; then ask it to end."""
        if self._thread is None:
            return
        self._thread.join(_FAREWELL_S)
        if self._process is not None and self._thread.is_alive():
            self._ending = True
            self._process.terminate()
            self._thread.join(_FAREWELL_S / 2)

    def _run(self, seen: dict[str, str]) -> None:
        try:
            # standard output may carry results
            self._process = subprocess.Popen(
                self.argv,
                env=without_secrets() | seen,
                stdin=subprocess.DEVNULL,
                stdout=2,
            )
        except OSError as error:
            self._say(f"{self.argv[0]} cannot be started: {error.strerror}")
            return
        code = self._process.wait()
        if code and not self._ending:
            self._say(f"{self.argv[0]} {_end(code)}")


def open_action(
    text: str,
    labels: tuple[str, ...],
    *,
    say: Callable[[str], None],
    interval_s: float = INTERVAL_S,
) -> Action:
    """The action that ``LABEL:FRAMES=COMMAND`` describes.

    Raises:
        UsageError: the words are wrong, there is no such label, or no such command.
    """
    match = re.fullmatch(r"(.+?):(\d{1,6})=(.+)", text, flags=re.DOTALL)
    if not match or int(match[2]) < 1:
        raise UsageError(
            f"{text!r} is no action; write LABEL:FRAMES=COMMAND, as in 'cat:5=./open-door slowly'"
        )
    label = match[1]
    if label not in labels:
        raise UsageError(f"{text}: {unknown('label', label, labels)}")
    try:
        argv = shlex.split(match[3])
    except ValueError as error:
        raise UsageError(f"{text}: the command cannot be split into words ({error})") from error
    if not argv or shutil.which(argv[0]) is None:
        raise UsageError(
            f"{text}: there is no command {argv[0] if argv else ''!r}; name an executable file"
        )
    return Action(label, int(match[2]), argv, say=say, interval_s=interval_s)


def _end(code: int) -> str:
    if code > 0:
        return f"ended with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _seen(result: Result) -> dict[str, str]:
    return {
        "EDGENET_LABEL": result.label,
        "EDGENET_PROBABILITY": f"{result.top[0].probability:.6f}" if result.top else "",
        "EDGENET_FRAME": str(result.frame),
        "EDGENET_NAME": result.name,
        "EDGENET_TIME": f"{result.time:.3f}",
    }
