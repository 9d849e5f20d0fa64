"""Several frames at work at once, each on a copy of the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue

from edgenet.runner import Frame, Prediction

Classify = Callable[[Frame], Prediction]

_FAREWELL_S = 0.8


def predictions(classifiers: Sequence[Classify], frames: Iterable[Frame]) -> Iterator[Prediction]:
    """Predictions in the order of their frames; each classifier has a thread of its own.

    A thread takes its next frame itself, so no core waits for what is done with the results; it is
    at most one result ahead of that.

    Args:
        classifiers: copies of one model, each for one thread at a time.
        frames: iterated by one thread at a time.

    Raises:
        Exception: what frames or a classifier raised, in the place of that frame's prediction.
    """
    work = _Work(frames, len(classifiers))
    threads = [
        threading.Thread(target=work.go_on, args=(classify,), name="classifier", daemon=True)
        for classify in classifiers
    ]
    for thread in threads:
        thread.start()
    try:
        while (prediction := work.taken.get().result()) is not None:
            yield prediction
            work.room.release()
    finally:
        work.end(len(threads))
        for thread in threads:
            # one that waits for a frame which never comes ends with the process
            thread.join(_FAREWELL_S)


class _Work:
    """The frames, and the predictions that are promised of those which were taken.

    Attributes:
        taken: a promise for each frame, in their order; the last one is of None, or raises.
        room: for frames whose predictions nobody took yet.
    """

    def __init__(self, frames: Iterable[Frame], classifiers: int) -> None:
        self.taken: SimpleQueue[Future[Prediction | None]] = SimpleQueue()
        self.room = threading.Semaphore(2 * classifiers)
        self._frames = iter(frames)
        self._taking = threading.Lock()
        self._ended = False

    def go_on(self, classify: Classify) -> None:
        """Classify one frame after the other until they end."""
        while True:
            self.room.acquire()
            promise: Future[Prediction | None] = Future()
            with self._taking:
                frame = self._take(promise)
            if frame is None:
                return
            try:
                promise.set_result(classify(frame))
            except Exception as error:  # noqa: BLE001  (raised by the thread that iterates)
                promise.set_exception(error)

    def end(self, classifiers: int) -> None:
        """Let the threads end after the frames that they are at."""
        self._ended = True
        for _ in range(classifiers):
            self.room.release()

    def _take(self, promise: Future[Prediction | None]) -> Frame | None:
        if self._ended:
            self.room.release()
            return None
        frame = None
        try:
            frame = next(self._frames, None)
        except Exception as error:  # noqa: BLE001  (raised by the thread that iterates)
            promise.set_exception(error)
        else:
            if frame is None:
                promise.set_result(None)
        self._ended = frame is None
        self.taken.put(promise)
        return frame
