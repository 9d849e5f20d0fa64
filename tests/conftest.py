"""What all tests share: one thread for torch, cases that repeat, tools that may be missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["pytester"]

os.environ.setdefault("OMP_NUM_THREADS", "1")
# child processes import what is installed, not what lies in the working folder
os.environ.setdefault("PYTHONSAFEPATH", "1")

hypothesis.settings.register_profile("edgenet", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("edgenet")

TOOLS = Path(__file__).parent.parent / "scripts" / "tools.txt"
LIGHT = bool(os.environ.get("EDGENET_LIGHT"))
TORCH = importlib.util.find_spec("torch") is not None

# whole folders that import torch; pytest_report_header says so
collect_ignore = [] if TORCH else ["host", "e2e"]


def pytest_configure() -> None:
    """Refuse to leave half of the tests out in CI without its being asked for."""
    if in_ci() and not TORCH and not LIGHT:
        raise pytest.UsageError("torch is not installed; run scripts/setup, or set EDGENET_LIGHT=1")


def pytest_report_header() -> str | None:
    return None if TORCH else "torch is not installed: tests/host and tests/e2e are left out"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose tool is missing, with the reason; in CI that is a failure."""
    if item.get_closest_marker("torch") and not TORCH:
        pytest.skip("torch is not installed; run: pip install 'edgenet[host]'")
    for marker in item.iter_markers("tool"):
        (command,) = marker.args
        if command not in listed_tools():
            pytest.fail(f"{command} is not listed in {TOOLS.name}; list it with its package")
        if shutil.which(command) is None:
            reason = f"{command} is not installed; run scripts/setup --tools"
            pytest.fail(reason) if in_ci() else pytest.skip(reason)


def listed_tools() -> list[str]:
    """The commands that scripts/setup --tools brings."""
    lines = TOOLS.read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line and not line.startswith("#")]


def in_ci() -> bool:
    return os.environ.get("CI") == "true"
