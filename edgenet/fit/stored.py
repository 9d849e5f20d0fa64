"""Records of ``edgenet fit`` as JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from edgenet.errors import RecordError


class Versioned(Protocol):
    """A record that says which schema it has."""

    @property
    def schema(self) -> int: ...


Record = TypeVar("Record", bound=Versioned)


def encode(record: Versioned) -> bytes:
    """The record as JSON, to be read by people too."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def read(path: Path, kind: type[Record], newest: int, otherwise: str) -> Record:
    """Read a record's file.

    Args:
        path: of the file.
        kind: what it must be.
        newest: the schema up to which this edgenet reads.
        otherwise: what an error says of another file; ``{}`` is the reason.

    Raises:
        RecordError: it cannot be read, is another, or is of a newer schema.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} {otherwise.format(f'({error})')}") from error
    if found.schema > newest:
        raise RecordError(
            f"{path} has schema {found.schema}, this edgenet reads up to {newest}; upgrade edgenet"
        )
    return found
