"""Names of time zones, as people and programs write them.

Source: https://data.iana.org/time-zones/theory.html (Names of timezones), 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from zoneinfo import available_timezones

EXPECTED = "the name of a time zone is expected, such as Europe/Berlin or UTC"
# Names of files that are no zones: the zone of this machine, and that of one that was not set up.
_NO_ZONES = {"localtime", "posixrules", "Factory"}


def read_time_zone(text: object) -> str | None:
    """Return the name of a time zone as the IANA database spells it, ``None`` for any other text.

    :param text: upper and lower case do not matter.
    """
    return _names().get(text.strip().lower()) if isinstance(text, str) else None


@cache
def time_zones() -> list[str]:
    """Return all names, sorted."""
    return sorted(_names().values())


@cache
def _names() -> Mapping[str, str]:
    return {name.lower(): name for name in (available_timezones() | {"UTC"}) - _NO_ZONES}
