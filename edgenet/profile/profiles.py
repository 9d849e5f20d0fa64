"""Several machines' profiles of one bundle, side by side in one record."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgenet.errors import RecordError, UsageError, unknown
from edgenet.profile import record
from edgenet.profile.record import Profile, check

SCHEMA = 1


class HostProfile(msgspec.Struct, frozen=True):
    """One machine's profile, or why there is none.

    Attributes:
        host: what it was asked for by: its address, or the file that its record was in.
        profile: None where it failed.
        error: the sentence that says why; None where it did not fail.
    """

    host: str
    profile: Profile | None
    error: str | None = None


class Profiles(msgspec.Struct, frozen=True):
    """Profiles of several machines.

    Attributes:
        kind: tells the record from others.
        schema: version of this layout.
        hosts: in the order that they were asked for in.
    """

    kind: Literal["profiles"]
    schema: int
    hosts: tuple[HostProfile, ...]

    @property
    def measured(self) -> tuple[tuple[str, Profile], ...]:
        """The hosts that did not fail, with their profiles."""
        return tuple((one.host, one.profile) for one in self.hosts if one.profile is not None)


def of(*hosts: HostProfile) -> Profiles:
    """The record of some hosts."""
    return Profiles("profiles", SCHEMA, hosts)


def encode(profiles: Profiles) -> bytes:
    """The record as JSON."""
    return msgspec.json.format(msgspec.json.encode(profiles), indent=2) + b"\n"


def read(path: Path) -> Profile | Profiles:
    """Read the record of one machine or of several.

    Raises:
        RecordError: it cannot be read, is neither, is malformed or of a newer schema.
    """
    text = record.load(path)
    if check(text, str(path), {"profile": record.SCHEMA, "profiles": SCHEMA}) == "profile":
        return record.decode(text, str(path))
    try:
        return msgspec.json.decode(text, type=Profiles)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is malformed: {error}; measure again") from error


def read_one(path: Path) -> Profile:
    """Read the record of one machine.

    Raises:
        RecordError: as ``read`` does, and where it is of several.
    """
    found = read(path)
    if isinstance(found, Profile):
        return found
    hosts = ", ".join(one.host for one in found.hosts)
    raise RecordError(
        f"{path} holds the profiles of several machines ({hosts}); take one out with:"
        f" edgenet profile {path.name} --host HOST --json"
    )


def choose(found: Profiles, hosts: tuple[str, ...], name: str) -> Profiles:
    """Some machines of a record, in its order.

    Raises:
        UsageError: the record, called ``name``, has no such machine.
    """
    known = [one.host for one in found.hosts]
    for host in hosts:
        if host not in known:
            raise UsageError(f"{name}: {unknown('host', host, known)}")
    return of(*(one for one in found.hosts if one.host in hosts))
