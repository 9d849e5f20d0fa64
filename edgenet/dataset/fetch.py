"""One file from the network, whole and checked, or nothing."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from edgenet.dataset.split import Progress
from edgenet.errors import DataError

BLOCK = 1 << 20
MB = 10**6


def fetch(url: str, destination: Path, *, sha256: str, progress: Progress | None = None) -> Path:
    """Downloads ``url`` to ``destination``, which appears only when its digest is right.

    Args:
        url: what to download, over https.
        destination: the file to write; its folder is made.
        sha256: the digest that the file must have.
        progress: told the megabytes received and those in all, rounded up; 0 where the server does
            not say.

    Raises:
        DataError: the server does not answer, the disk refuses, or the digest differs.
    """
    partial: Path | None = None
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=destination.parent, prefix=f".{destination.name}.")
        partial = Path(name)
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=30) as reply:
            total = int(reply.headers.get("Content-Length") or 0)
            done = 0
            while block := reply.read(BLOCK):
                file.write(block)
                digest.update(block)
                done += len(block)
                if progress:
                    progress(
                        f"downloading {destination.name} (MB)", -(-done // MB), -(-total // MB)
                    )
        if digest.hexdigest() != sha256:
            raise DataError(
                f"{url}: sha256 is {digest.hexdigest()}, expected {sha256}; the download was cut "
                "short or changed on its way, so try again"
            )
        partial.replace(destination)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        reason: object = getattr(error, "reason", error)
        if isinstance(error, urllib.error.HTTPError):
            reason = f"{error.code} {error.reason}"
            error.close()
        raise DataError(
            f"cannot download {url} to {destination.parent}: {reason}; "
            "fetch it by other means and name the file"
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return destination
