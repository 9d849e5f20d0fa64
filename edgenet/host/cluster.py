"""Runs of a search on many machines, by Ray.

The search's folder and the data must be the same files everywhere, as on a shared disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgenet.errors import MissingPackage, RemoteError
from edgenet.host.search import Found, Job
from edgenet.host.settings import Settings

LOCAL = "local"


class Cluster:
    """Ray's workers.

    Args:
        address: of a running cluster, ``auto`` for the one that this machine belongs to, or
            ``local`` for workers of this machine alone.
        count: runs at a time; each has a processor of its own.

    Raises:
        MissingPackage: Ray is not installed.
        RemoteError: there is no such cluster.
    """

    def __init__(self, address: str, count: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingPackage(
                "Ray", "cluster", needed_for="training on many machines"
            ) from error
        self.count, self._ray = count, ray
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if address == LOCAL:
            options |= {"num_cpus": count, "include_dashboard": False}
        else:
            options["address"] = address
        try:
            ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RemoteError(f"Ray has no cluster at {address}: {error}") from error

    def start(self, job: Job, settings: Settings, folder: Path) -> object:
        """Hand out a run."""
        remote = self._ray.remote(num_cpus=1, max_retries=1)(job)
        return remote.remote(settings, folder.resolve())

    def first(self, running: Sequence[Any]) -> tuple[object, Found]:
        """The run that ends first, and what it gave; a worker that died is its error."""
        (ended, *_), _ = self._ray.wait(list(running), num_returns=1)
        try:
            return ended, self._ray.get(ended)
        except self._ray.exceptions.RayError as error:
            return ended, Found(error=f"a worker failed: {str(error).splitlines()[0]}")

    def close(self) -> None:
        """Leave the cluster; workers of this machine alone end."""
        self._ray.shutdown()
