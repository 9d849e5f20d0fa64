"""Cases that repeat a slow test: CI runs the first ones, a night all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def beyond(kept: int, cases: Sequence[Any]) -> list[Any]:
    """The cases, of which those after the first ``kept`` are for a night."""
    late = [pytest.param(case, marks=pytest.mark.nightly) for case in cases[kept:]]
    return [*cases[:kept], *late]
