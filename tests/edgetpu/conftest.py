"""The stand-in for libedgetpu, and a model for it."""

from __future__ import annotations

import shutil

import pytest
from coral import build_standin, channel_max, compiled


@pytest.fixture(scope="session")
def standin(tmp_path_factory):
    """The library's path."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed; run scripts/setup --tools")
    return str(build_standin(tmp_path_factory.mktemp("standin")))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with largest.tflite and largest_edgetpu.tflite."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "largest.tflite").write_bytes(channel_max())
    (folder / "largest_edgetpu.tflite").write_bytes(compiled(channel_max()))
    return folder
