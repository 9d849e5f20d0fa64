"""Runs of a search on many machines, by Ray.

The search's folder and the data must be the same files everywhere, as on a shared disk.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgenet.errors import MissingPackage, RemoteError
from edgenet.host.search import Job
from edgenet.host.settings import Settings
from edgenet.host.study import Found

LOCAL, AUTO = "local", "auto"
_PATIENCE_S = 5


class Cluster:
    """Ray's workers.

    Args:
        address: of a running cluster, ``auto`` for the one that this machine belongs to, or
            ``local`` for workers of this machine alone.
        count: runs at a time; each has a processor of its own, and a GPU or its share of one where
            the cluster has any.

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
        self.count: int = count
        self._ray: Any = ray
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if address == LOCAL:
            options |= {"num_cpus": count, "include_dashboard": False}
        else:
            _check_answers(address)
            options["address"] = address
        try:
            ray.init(**options)
        except ConnectionError as error:
            raise RemoteError(_none_at(address)) from error
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RemoteError(f"Ray refuses {address!r}: {reason}") from error
        self._gpus = gpu_share(self._ray.cluster_resources().get("GPU", 0.0), count)

    def start(self, job: Job, settings: Settings, folder: Path) -> object:
        """Hand out a run."""
        needs: dict[str, Any] = {"num_cpus": 1, "num_gpus": self._gpus, "max_retries": 1}
        return self._ray.remote(**needs)(job).remote(settings, folder.resolve())

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


def gpu_share(gpus: float, count: int) -> float:
    """What of a GPU each of ``count`` runs gets, so that all run at a time.

    >>> gpu_share(4, 2), gpu_share(4, 6), gpu_share(0, 2)
    (1.0, 0.5, 0.0)
    """
    return 1 / math.ceil(count / gpus) if gpus else 0.0


def _check_answers(address: str) -> None:
    """Before Ray, which asks for most of a minute and writes its log to the terminal.

    Raises:
        RemoteError: nothing listens there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise RemoteError(_none_at(address)) from error


def _none_at(address: str) -> str:
    where = "that this machine belongs to" if address == AUTO else f"at {address}"
    return f"there is no Ray cluster {where}; start one with ray start --head, or take --ray local"
