"""One file from the network, whole and checked, or nothing."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from edgenet.dataset.split import Progress
from edgenet.errors import DataError
from edgenet.files import replacing

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
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with replacing(destination) as partial:
            found = _download(url, partial, destination.name, progress)
            if found != sha256:
                raise DataError(
                    f"{url}: sha256 is {found}, expected {sha256}; the download was cut "
                    "short or changed on its way, so try again"
                )
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        reason: object = getattr(error, "reason", error)
        if isinstance(error, urllib.error.HTTPError):
            reason = f"{error.code} {error.reason}"
            error.close()
        raise DataError(
            f"cannot download {url} to {destination.parent}: {reason}; "
            "fetch it by other means and name the file"
        ) from error
    return destination


def _download(url: str, path: Path, name: str, progress: Progress | None) -> str:
    """The digest of what was downloaded to ``path``."""
    digest = hashlib.sha256()
    with path.open("wb") as file, urllib.request.urlopen(url, timeout=30) as reply:
        total = int(reply.headers.get("Content-Length") or 0)
        done = 0
        while block := reply.read(BLOCK):
            file.write(block)
            digest.update(block)
            done += len(block)
            if progress:
                progress(f"downloading {name} (MB)", -(-done // MB), -(-total // MB))
    return digest.hexdigest()
