"""The stand-in for libedgetpu, and a model for it."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def standin(tmp_path_factory):
    """The library's path."""
    from coral import build_standin

    if shutil.which("cc") is None:
        pytest.skip("cc is not installed; run scripts/setup --tools")
    return str(build_standin(tmp_path_factory.mktemp("standin")))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with largest.tflite and largest_edgetpu.tflite."""
    from coral import channel_max, compiled

    folder = tmp_path_factory.mktemp("models")
    (folder / "largest.tflite").write_bytes(channel_max())
    (folder / "largest_edgetpu.tflite").write_bytes(compiled(channel_max()))
    return folder
