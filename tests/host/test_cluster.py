"""Ray's workers, with a stand-in for Ray; ``test_search`` trains on real ones."""

from __future__ import annotations

import doctest
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from edgenet.errors import RemoteError
from edgenet.host import cluster
from edgenet.host.cluster import Cluster


@pytest.fixture
def ray(monkeypatch):
    """What Cluster calls."""
    stand_in = SimpleNamespace(
        init=Mock(), remote=Mock(), cluster_resources=Mock(return_value={"CPU": 8.0})
    )
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    return stand_in


@pytest.mark.parametrize(("gpus", "share"), [(0, 0.0), (1, 0.5), (2, 1.0), (8, 1.0)])
def test_each_run_has_a_gpu_or_its_share_of_one_where_there_are_any(ray, gpus, share):
    ray.cluster_resources.return_value["GPU"] = float(gpus)
    Cluster("local", 2).start(print, None, Path("run"))
    assert ray.remote.call_args.kwargs["num_gpus"] == share


def test_the_folder_of_a_run_is_the_same_from_any_folder(ray):
    Cluster("local", 1).start(print, None, Path("run"))
    started = ray.remote.return_value.return_value.remote
    assert started.call_args.args == (None, Path.cwd() / "run")


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_where_nothing_listens_ray_is_not_even_asked(ray, prefix):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RemoteError, match=f"no Ray cluster at {prefix}127.0.0.1:{port}; start one"):
        Cluster(f"{prefix}127.0.0.1:{port}", 2)
    ray.init.assert_not_called()


def test_what_ray_says_of_a_cluster_that_is_there_is_passed_on(ray):
    ray.init.side_effect = RuntimeError("Version mismatch: the cluster has 2.40\n  more")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(RemoteError) as caught:
            Cluster(address, 2)
    assert str(caught.value) == f"Ray refuses '{address}': Version mismatch: the cluster has 2.40"


def test_examples():
    assert doctest.testmod(cluster).failed == 0
