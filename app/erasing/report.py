"""The report: what was found and what went, never the identifier itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# What is counted, with the words of commands and pages; in the order in which they are shown.
LABELS = {
    "envelopes": "envelopes rewritten",
    "events": "events of them",
    "discarded": "envelopes that waited for Sentry, discarded",
    "attachments": "files removed or rewritten",
    "feedback": "feedback removed or rewritten",
    "logs": "lines of logs",
    "issues": "issues with a changed title, culprit, release or link",
    "groupings": "grouping keys rewritten",
    "tags": "counts of tag values",
    "users": "entries among the affected users",
    "session_users": "entries among the users of sessions",
    "comments": "comments and entries in the history of issues",
    "notifications": "notifications and attempts to send them",
    "deliveries": "errors and filters in the history of deliveries",
    "figures": "names in figures: transactions, releases, metrics, AI calls",
    "memories": "memories removed or rewritten",
    "search": "documents in the search index of issues",
    "logins": "addresses of sessions, and counters of failed log-ins",
    "audit": "entries of the audit log rewritten",
    "emergency": "files in the emergency folder",
}


@dataclass
class Forwarded:
    """What Sentry has accepted already, of one project."""

    envelopes: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, received_at: datetime) -> None:
        """Count one envelope."""
        self.envelopes += 1
        self.first = min(self.first or received_at, received_at)
        self.last = max(self.last or received_at, received_at)


@dataclass
class Report:
    """What a run found.

    :param counts: by the keys of LABELS.
    :param forwarded: by project id.
    :param stays: what has the identifier and stays, in words.
    :param notes: what a person should know about this run, in words.
    :param left: how often the identifier was found again afterwards; ``None`` if nobody looked.
    """

    counts: Counter[str] = field(default_factory=Counter)
    forwarded: dict[int, Forwarded] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: int | None = None

    @property
    def found(self) -> int:
        """How much was found in all."""
        return sum(self.counts.values())

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def forward(self, project_id: int, received_at: datetime) -> None:
        """Count an envelope that Sentry has accepted."""
        self.forwarded.setdefault(project_id, Forwarded()).add(received_at)

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form in which it is stored and answered."""
        return {
            "counts": {name: self.counts[name] for name in LABELS if self.counts[name]},
            "forwarded": [
                {
                    "project_id": project_id,
                    "envelopes": one.envelopes,
                    "first": one.first and one.first.isoformat(),
                    "last": one.last and one.last.isoformat(),
                }
                for project_id, one in sorted(self.forwarded.items())
            ],
            "stays": self.stays,
            "notes": self.notes,
            "left": self.left,
        }
