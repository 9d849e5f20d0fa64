from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from edgenet import target
from edgenet.bundle import Bundle
from edgenet.deploy.environment import Recipe
from edgenet.deploy.facts import Facts
from edgenet.deploy.layout import Layout
from edgenet.deploy.release import Release, prepare
from edgenet.deploy.secretfile import SecretFile, new_salt
from edgenet.deploy.service import Service

from .conftest import GOOD, TINY

CAMERA = "rtsp://guard:let%20me%20in@camera.lan:8554/key/of/the/house?token=1234"


def release(wheel: Path, service: Service, salt: str = "5a17", bundle: Path = TINY) -> Release:
    recipe = Recipe(Facts(**GOOD), wheel, ("rpi",))
    opened = Bundle.open(bundle)
    return prepare(Layout("edgenet"), opened, recipe, service, target=target.load("rpi"), salt=salt)


def test_what_an_address_hides_is_in_the_secrets_alone(wheel: Path) -> None:
    found = release(wheel, Service(CAMERA, options=("--smooth", "0.5")))
    shown = found.unit + msgspec.json.encode(found.record).decode()
    for part in ("guard", "let", "key", "1234"):
        assert part not in shown
    assert "on rtsp://camera.lan:8554\n" in found.unit
    assert found.record.run == ("--source", "rtsp://camera.lan:8554", "--smooth", "0.5")
    assert f"EnvironmentFile=/opt/edgenet/secrets/{found.digest}\n" in found.unit
    assert SecretFile.parse(found.secrets).variables == {"EDGENET_SOURCE": CAMERA}


def test_an_address_without_more_than_a_host_is_no_secret(wheel: Path) -> None:
    found = release(wheel, Service("rtsp://camera.lan"))
    assert (found.secrets, "--source rtsp://camera.lan\n" in found.unit) == ("", True)


def test_secrets_cannot_be_guessed_from_the_name_of_a_release(wheel: Path) -> None:
    service = Service("0", secrets={"EDGENET_MQTT_PASSWORD": "1234"})
    one, other = release(wheel, service, new_salt()), release(wheel, service, new_salt())
    assert one.digest != other.digest
    salt = SecretFile.parse(one.secrets).salt
    assert len(salt) == 32
    assert release(wheel, service, salt).digest == one.digest
    assert salt not in one.unit + str(one.record)
    assert release(wheel, Service("0"), "a").digest == release(wheel, Service("0"), "b").digest


def test_only_what_the_manifest_names_is_carried(wheel: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    (mine / "notes").mkdir()
    (mine / "notes" / "private.txt").write_text("mine")
    release(wheel, Service("0"), bundle=mine).write(Layout("edgenet"), tmp_path / "there")
    there = tmp_path / "there" / "bundle"
    assert not (there / "notes").exists()
    assert Bundle.open(there).sha256 == Bundle.open(TINY).sha256


@pytest.mark.parametrize("value", ["plain", 'a "b" \\ $c `d` %', "two\nlines", "\\", "# salt x"])
def test_a_file_of_secrets_is_read_as_it_was_written(value: str) -> None:
    file = SecretFile({"A": value, "B": "2"}, ("B",), "5a17")
    assert SecretFile.parse(file.text) == file
    assert SecretFile.parse("") == SecretFile({}, (), "")
