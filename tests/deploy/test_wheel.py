from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import edgenet
from edgenet.deploy import wheel
from edgenet.errors import DeployError

ROOT = Path(__file__).parent.parent.parent


def runs_from(monkeypatch: pytest.MonkeyPatch, top: Path) -> None:
    monkeypatch.setattr(edgenet, "__file__", str(top / "edgenet" / "__init__.py"))


@pytest.mark.slow
def test_a_checkout_is_built_and_what_was_installed_is_packed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, built_in, packed_in = (tmp_path / name for name in ("site", "built", "packed"))
    for folder in (site, built_in, packed_in):
        folder.mkdir()
    runs_from(monkeypatch, ROOT)
    built = wheel.own(built_in)
    with zipfile.ZipFile(built) as archive:
        archive.extractall(site)  # what pip does, and then it writes some files of its own
        names = set(archive.namelist())
    (info,) = site.glob("*.dist-info")
    (info / "INSTALLER").write_text("pip\n")
    for more in ("edgenet/__pycache__/x.pyc", f"{info.name}/INSTALLER", "../../bin/edgenet"):
        with (info / "RECORD").open("a") as record:
            record.write(f"{more},,\n")
    assert "edgenet/targets/rpi/target.toml" in names
    assert "edgenet/deploy/unit.service" in names

    runs_from(monkeypatch, site)
    found = metadata.PathDistribution(info)
    monkeypatch.setattr(metadata, "distribution", lambda name: found)
    packed = wheel.own(packed_in)
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == names
        lines = archive.read(f"{info.name}/RECORD").decode().splitlines()
    assert {line.split(",")[0] for line in lines} == names
    assert packed.name == built.name
    assert wheel.digest(packed) == wheel.digest(built)


def test_a_folder_that_was_never_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nothing)
    runs_from(monkeypatch, tmp_path)
    with pytest.raises(DeployError, match="was never installed; run: pip install edgenet"):
        wheel.own(tmp_path)


def test_a_build_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    for name in ("edgenet", "targets"):
        (checkout / name).mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (checkout / name).write_text("this is no TOML\n")
    runs_from(monkeypatch, checkout)
    with pytest.raises(DeployError, match=r"no wheel could be built from .*checkout"):
        wheel.own(tmp_path)


def test_the_digest_is_of_what_is_installed(tmp_path: Path) -> None:
    def write(name: str, content: str, year: int) -> Path:
        path = tmp_path / f"{name}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.py", (year, 1, 1, 0, 0, 0)), content)
            archive.writestr("a-1.dist-info/RECORD", name)
        return path

    first = wheel.digest(write("first", "x = 1", 1990))
    assert first == wheel.digest(write("second", "x = 1", 2020))
    assert first != wheel.digest(write("third", "x = 2", 1990))
