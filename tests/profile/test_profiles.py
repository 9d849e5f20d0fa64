"""Several machines in one record, and the published schema of all records."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from edgenet.cli.main import main
from edgenet.errors import RecordError
from edgenet.profile import schema
from edgenet.profile.compare import compare
from edgenet.profile.profiles import SCHEMA, HostProfile, Profiles, encode, of, read
from edgenet.profile.record import encode as encode_one
from edgenet.report import profile_hosts

from .conftest import PI5, MakeProfile, MakeRun, MakeSustained

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def several(make_profile: MakeProfile, make_run: MakeRun) -> Profiles:
    """A board that was slowed down, one that is emulated, and one that could not be reached."""
    emulated = msgspec.structs.replace(PI5, emulator="QEMU", board="virt <board>")
    slow = make_run(invoke=[7.0], throttled=("under-voltage",))
    return of(
        HostProfile("pi@hot", make_profile(slow, make_run("fp32.tflite", 4, invoke=[9.0]))),
        HostProfile("pi@virtual", make_profile(make_run(invoke=[70.0]), machine=emulated)),
        HostProfile("pi@off", None, "pi@off cannot be reached; is it <on>?"),
    )


def report(file: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["profile", str(file), *map(str, arguments)])


def test_the_record_is_read_back_whole(several: Profiles, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    file.write_bytes(encode(several))
    assert read(file) == several
    record = json.loads(file.read_bytes())
    assert (record["kind"], record["schema"]) == ("profiles", SCHEMA)


def test_a_newer_or_malformed_record_is_refused(several: Profiles, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    record = json.loads(encode(several))
    file.write_text(json.dumps(record | {"schema": SCHEMA + 1}))
    with pytest.raises(RecordError, match=f"has schema {SCHEMA + 1}, this edgenet reads up to"):
        read(file)
    record["hosts"][0]["profile"]["runs"] = 3
    file.write_text(json.dumps(record))
    with pytest.raises(RecordError, match=r"malformed.*hosts\[0\]\.profile\.runs"):
        read(file)


def test_text_sets_the_machines_side_by_side_and_marks_them(several: Profiles) -> None:
    text = profile_hosts.text(several)
    assert "2 of 3 machines measured" in text
    assert "pi@off: NOT MEASURED: pi@off cannot be reached" in text
    assert "THROTTLED in 1 of 2 runs" in text
    assert "variant      threads           pi@hot  pi@virtual (EMULATED)" in text
    assert "int8.tflite        1  7.000 THROTTLED                  70.00" in text
    assert "fp32.tflite        4            9.000                      -" in text
    assert "=== pi@virtual ===" in text
    assert "its timings mean nothing" in text


def test_csv_names_the_machine_in_each_row(several: Profiles) -> None:
    rows = list(csv.DictReader(io.StringIO(profile_hosts.csv(several))))
    assert [row["host"] for row in rows] == ["pi@hot"] * 8 + ["pi@virtual"] * 4
    assert {row["throttled"] for row in rows[:4]} == {"under-voltage"}
    assert {row["emulator"] for row in rows[8:]} == {"QEMU"}


def test_the_page_shows_each_machine_and_escapes_what_it_is_given(several: Profiles) -> None:
    page = profile_hosts.page(several)
    side, *machines = page.split("<section ")[1:]
    assert '7.000 <span class="badge bad">throttled</span>' in side
    assert '<span class="badge bad">THROTTLED in 1 of 2 runs</span>' in side
    assert "virt &lt;board&gt;" in side
    assert '<span class="badge bad">emulated: QEMU</span>' in side
    assert "is it &lt;on&gt;?" in side
    assert len(machines) == 2
    assert "pi@virtual" in machines[1]


def test_a_record_of_several_is_reported_again_and_taken_apart(
    several: Profiles, tmp_path: Path
) -> None:
    file = tmp_path / "all.json"
    file.write_bytes(encode(several))
    done = report(file, "--html", tmp_path / "all.html")
    assert done.exit_code == 1
    assert "1 of 3 machines were not measured; pi@off: pi@off cannot be" in done.stderr
    assert "profile on 3 machines" in (tmp_path / "all.html").read_text()
    one = report(file, "--host", "pi@hot", "--json")
    assert one.exit_code == 0
    assert one.stdout_bytes == encode_one(several.measured[0][1])
    two = report(file, "--host", "pi@hot", "--host", "pi@virtual", "--json")
    assert [host["host"] for host in json.loads(two.stdout)["hosts"]] == ["pi@hot", "pi@virtual"]
    wrong = report(file, "--host", "pi@hut")
    assert wrong.exit_code == 2
    assert "no host 'pi@hut'; did you mean 'pi@hot'?" in wrong.stderr


def test_a_record_of_one_machine_has_no_hosts_to_choose(
    make_profile: MakeProfile, tmp_path: Path
) -> None:
    file = tmp_path / "one.json"
    file.write_bytes(encode_one(make_profile()))
    done = report(file, "--host", "pi@a")
    assert done.exit_code == 2
    assert "is the record of one machine; drop --host" in done.stderr


def test_the_published_schema_is_the_records_own() -> None:
    published = (ROOT / "docs" / "profile.schema.json").read_bytes()
    assert published == schema.document(), (
        "run: python -m edgenet.profile.schema docs/profile.schema.json"
    )


def test_records_are_valid_under_the_published_schema(
    several: Profiles,
    make_profile: MakeProfile,
    make_run: MakeRun,
    make_sustained: MakeSustained,
) -> None:
    document = json.loads((ROOT / "docs" / "profile.schema.json").read_bytes())
    full = make_profile(make_run(), sustained=make_sustained(), competitors=("edgenet.service",))
    comparison = compare(full, full, names=("a", "b"))
    for record in (encode_one(full), encode(several), msgspec.json.encode(comparison)):
        assert faults(json.loads(record), document, document) == []
    broken = json.loads(encode_one(full))
    broken["runs"][0]["threads"] = "two"
    assert faults(broken, document, document)


def test_every_property_of_the_schema_is_described() -> None:
    parts = json.loads(schema.document())["$defs"]
    # what Stats' fields are is in its description
    bare = [
        f"{part}.{name}"
        for part, found in parts.items()
        for name, one in found.get("properties", {}).items()
        if "description" not in one and part != "Stats"
    ]
    assert bare == []


def faults(value: Any, rule: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """What of the JSON Schema keywords that the document uses a value breaks."""
    if "$ref" in rule:
        name = rule["$ref"].removeprefix("#/$defs/")
        return faults(value, document["$defs"][name], document)
    for choice in ("oneOf", "anyOf"):
        if choice in rule:
            each = [faults(value, one, document) for one in rule[choice]]
            passed = sum(not found for found in each)
            good = passed == 1 if choice == "oneOf" else passed >= 1
            return [] if good else [f"{passed} of {choice}: {min(each, key=len)}"]
    if "enum" in rule:
        return [] if value in rule["enum"] else [f"{value!r} is none of {rule['enum']}"]
    if not isinstance(value, TYPES[rule["type"]]) or (
        isinstance(value, bool) and rule["type"] != "boolean"
    ):
        return [f"{value!r} is no {rule['type']}"]
    return [*_in_array(value, rule, document), *_in_object(value, rule, document)]


TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def _in_array(value: Any, rule: dict[str, Any], document: dict[str, Any]) -> list[str]:
    items = rule.get("items")
    if not isinstance(value, list) or not isinstance(items, dict):
        return []
    return [fault for one in value for fault in faults(one, items, document)]


def _in_object(value: Any, rule: dict[str, Any], document: dict[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    properties, more = rule.get("properties", {}), rule.get("additionalProperties", {})
    found = [f"{name} is missing" for name in rule.get("required", []) if name not in value]
    for name, one in value.items():
        known = properties.get(name, more)
        found += faults(one, known, document) if known else []
    return found
