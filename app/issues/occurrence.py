"""An event with its grouping, on the way to its issue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.issues.grouping import Grouping
from app.issues.groupings import Key
from app.issues.overflow import OTHER_VERSION
from app.protocol.event import Event
from app.stats.users import hash_of


@dataclass(frozen=True, eq=False)
class Occurrence:
    """An event with its grouping.

    :param release_id: the number of its release; ``None`` if the event has no release.
    :param older: return the grouping of the event by the previous version of the rules.

    ``key`` is the key by which its stored grouping is found. ``title`` and ``culprit`` are those of
    the event, as long as they are stored. ``user_hash`` is the hash of the affected user; ``None``
    without a user.
    """

    project_id: int
    event: Event
    grouping: Grouping
    release_id: int | None = None
    older: Callable[[], Grouping] | None = None
    key: Key = field(init=False)
    title: str = field(init=False)
    culprit: str = field(init=False)
    user_hash: str | None = field(init=False)

    def __post_init__(self) -> None:
        # Computed once: each is read several times, and an event and its grouping do not change.
        identity = self.event.user_identity
        computed = {
            "key": (self.project_id, self.grouping.version, self.grouping.hash),
            "title": self.event.title[:500],
            "culprit": self.event.culprit[:500],
            "user_hash": hash_of(identity) if identity else None,
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)

    @property
    def is_other(self) -> bool:
        """Whether it is counted in ``<other>`` instead of its own issue."""
        return self.grouping.version == OTHER_VERSION


def is_own(key: Key) -> bool:
    """Return whether a key belongs to an error, not to ``<other>``."""
    return key[1] != OTHER_VERSION


def earliest(group: list[Occurrence]) -> Event:
    """Return the event that happened first."""
    return min((occurrence.event for occurrence in group), key=lambda event: event.timestamp)


def ignored_by(group: list[Occurrence]) -> str | None:
    """Return the name of a rule if rules ignore all of these events, else ``None``."""
    rules = [occurrence.grouping.ignored_by for occurrence in group]
    return rules[0] if all(rules) else None
