from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenet.deploy.layout import Layout
from edgenet.deploy.tidy import tidy


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Six releases of three environments, the oldest first, each with a secret."""
    layout = Layout("edgenet", str(tmp_path))
    for number, release in enumerate("abcdef"):
        folder = Path(layout.release(release))
        folder.mkdir(parents=True)
        record = {"environment": f"e{number // 2}", "deployed": f"2026-11-2{number}T00:00:00+00:00"}
        (folder / "release.json").write_text(json.dumps(record))
        Path(layout.environments, record["environment"], "bin").mkdir(parents=True, exist_ok=True)
        Path(layout.secrets).mkdir(exist_ok=True)
        Path(layout.secrets, release).touch()
    return layout


def names(folder: str) -> str:
    return " ".join(sorted(path.name for path in Path(folder).iterdir()))


def point(layout: Layout, current: str, previous: str) -> None:
    Path(layout.current).symlink_to(f"releases/{current}")
    Path(layout.previous).symlink_to(f"releases/{previous}")


@pytest.mark.parametrize(
    ("current", "previous", "releases", "environments"),
    [
        ("f", "e", "d e f", "e1 e2"),
        ("a", "b", "a b f", "e0 e2"),
        ("c", "a", "a c f", "e0 e1 e2"),
    ],
)
def test_three_releases_stay_and_what_they_use(
    layout: Layout, current: str, previous: str, releases: str, environments: str
) -> None:
    point(layout, current, previous)
    removed = tidy(layout)
    assert names(layout.releases) == names(layout.secrets) == releases
    assert names(layout.environments) == environments
    assert len(removed) == 2 * 3 + (3 - len(environments.split()))
    assert tidy(layout) == []


def test_the_release_that_runs_stays_however_many_are_kept(layout: Layout) -> None:
    point(layout, "a", "a")
    tidy(layout, keep=0)
    assert names(layout.releases) == "a"


def test_what_a_copy_that_was_cut_off_left_is_removed(layout: Layout) -> None:
    point(layout, "f", "e")
    Path(layout.release("d.1234abcd"), "copy").mkdir(parents=True)
    Path(layout.environments, "e7.wheels").mkdir()
    tidy(layout)
    assert names(layout.releases) == "d e f"
    assert names(layout.environments) == "e1 e2"


@pytest.mark.parametrize("record", [None, "{", "{}"])
def test_nothing_is_removed_while_a_release_that_stays_does_not_say_what_it_uses(
    layout: Layout, record: str | None
) -> None:
    point(layout, "a", "b")
    file = Path(layout.release("a"), "release.json")
    file.unlink()
    if record is not None:
        file.write_text(record)
    assert tidy(layout) == []
    assert names(layout.releases) == "a b c d e f"
    assert names(layout.environments) == "e0 e1 e2"
