from __future__ import annotations

import shutil
from pathlib import Path

import pytest

NEEDS_TOOL = """
import pytest

@pytest.mark.tool({tool!r})
def test_needs_it(): pass
"""


@pytest.fixture
def tests(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with this one's conftest and a tool that no machine has."""
    folder = pytester.mkdir("tests")
    shutil.copy(Path(__file__).parent / "conftest.py", folder)
    tools = pytester.mkdir("scripts") / "tools.txt"
    tools.write_text("# a comment\nsome-package no-such-tool-here a test\nsh sh a test\n")
    pytester.makeini("[pytest]\nmarkers =\n  tool\n  torch\n")
    return pytester


def run(tests: pytest.Pytester, tool: str) -> pytest.RunResult:
    (tests.path / "tests" / "test_it.py").write_text(NEEDS_TOOL.format(tool=tool))
    return tests.runpytest_subprocess("-rs", "--disable-plugin-autoload", "tests")


def test_a_missing_tool_skips_with_the_reason(
    tests: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = run(tests, "no-such-tool-here")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines("*no-such-tool-here is not installed; run scripts/setup --tools*")


def test_in_ci_a_missing_tool_fails(
    tests: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("EDGENET_LIGHT", "1")
    result = run(tests, "no-such-tool-here")
    result.assert_outcomes(errors=1)


def test_a_tool_that_is_there_runs(tests: pytest.Pytester) -> None:
    run(tests, "sh").assert_outcomes(passed=1)


def test_a_tool_must_be_listed(tests: pytest.Pytester) -> None:
    result = run(tests, "ls")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*ls is not listed in tools.txt*")
