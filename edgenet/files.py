"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to, which takes its place when the block ends well.

    Raises:
        OSError: from the block, or since the folder cannot be written; nothing is left behind.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file that is never seen half written, not even after a power cut.

    Raises:
        OSError: the folder is missing or cannot be written; nothing is left behind.
    """
    with replacing(path) as draft, draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
