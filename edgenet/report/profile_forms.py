"""A record of one machine or of several in each form that it is printed or saved in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from edgenet.profile import profiles, record
from edgenet.profile.profiles import Profiles
from edgenet.profile.record import Profile
from edgenet.report import profile_csv, profile_hosts, profile_page, profile_text


class Forms(NamedTuple):
    """What is printed or saved of a record."""

    json: Callable[[], bytes]
    text: Callable[[], str]
    csv: Callable[[], str]
    page: Callable[[], str]


def of(found: Profile | Profiles) -> Forms:
    """The forms of one machine's record or of several's."""
    if isinstance(found, Profile):
        return Forms(
            partial(record.encode, found),
            partial(profile_text.text, found),
            partial(profile_csv.text, found),
            partial(profile_page.page, found),
        )
    return Forms(
        partial(profiles.encode, found),
        partial(profile_hosts.text, found),
        partial(profile_hosts.csv, found),
        partial(profile_hosts.page, found),
    )
