"""The facts of a trace beside its waterfall: services, what was odd, and those of one span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from app.admin.filters import plural
from app.events.values import Shown, printable, show_all
from app.protocol.span import Kind, values_of
from app.traces.reading import Trace
from app.traces.tree import Node, Tree

# Of one span.
MAX_VALUES = 60


@dataclass
class Service:
    """What a project did in a trace.

    :param self_ms: the self time of all of its spans; ``of_kind``: of spans of a kind.
    """

    name: str
    spans: int = 0
    failed: int = 0
    self_ms: float = 0.0
    ai_ms: float = 0.0
    db_ms: float = 0.0

    def add(self, kind: Kind, failed: bool, self_ms: float) -> None:
        """Add a span."""
        self.spans += 1
        self.failed += failed
        self.self_ms += self_ms
        self.ai_ms += self_ms if kind == "ai" else 0.0
        self.db_ms += self_ms if kind == "db" else 0.0


class SpanFacts:
    """One span with everything that is known about it."""

    def __init__(self, node: Node, names: Mapping[int, str]) -> None:
        self.node, self.span = node, node.span
        self.service = names.get(node.project_id, f"project {node.project_id}")

    @property
    def words(self) -> str:
        """The whole description."""
        return printable(self.span.description or self.span.op or "(no description)")

    @property
    def transaction(self) -> str:
        """The name of its transaction."""
        return printable(self.span.transaction)

    @property
    def began(self) -> datetime | None:
        """When it began."""
        start = self.span.start
        return None if start is None else datetime.fromtimestamp(start, UTC)

    @property
    def values(self) -> list[Shown]:
        """What the client says about it, by name."""
        return show_all(dict(islice(values_of(self.span).items(), MAX_VALUES)))


def services_of(tree: Tree, names: Mapping[int, str]) -> list[Service]:
    """Return what each project did, the one with the most self time first."""
    found: dict[int, Service] = {}
    for node in tree.nodes:
        of = node.project_id
        if of not in found:
            found[of] = Service(names.get(of, f"project {of}"))
        found[of].add(node.span.kind, node.span.failed, node.self_ms or 0.0)
    return sorted(found.values(), key=lambda one: -one.self_ms)


def notices_of(trace: Trace, tree: Tree) -> list[str]:
    """Return a sentence about each thing that keeps the waterfall from being exact."""
    return list(_notices(trace, tree))


def _notices(trace: Trace, tree: Tree) -> Iterator[str]:
    if trace.has_more_spans:
        shown = plural(len(trace.spans), "span")
        yield f"The trace is larger than one page reads: {shown} of it are shown."
    if missing := tree.count("missing"):
        yield (
            f"{_verb(missing, 'has', 'have')} a parent that is not stored: it was not sampled, it"
            " was removed, or it has not arrived. A span inside a transaction stands below that"
            " transaction, another one at the top."
        )
    if circles := tree.count("circle"):
        yield (
            f"The parents of spans form {plural(circles, 'circle')}. Each is opened at its first"
            " span, which stands at the top."
        )
    if outside := sum(node.is_outside for node in tree.nodes):
        yield (
            f"{_verb(outside, 'runs', 'run')} outside of the time of the parent: the clocks of two"
            " programs differ, or work went on after the parent had ended."
        )
    if unknown := sum(node.span.ms is None for node in tree.nodes):
        yield f"{_verb(unknown, 'has', 'have')} no plausible time, and so no bar."
    if far := sum(node.is_far for node in tree.nodes):
        yield (
            f"{_verb(far, 'has', 'have')} a time that does not fit, and so no bar: more than a day"
            " away from the trace, as by a wrong clock."
        )
    if unread := trace.unread_events:
        verb = "stands" if unread == 1 else "stand"
        yield (
            f"{plural(unread, 'error')} {verb} in the list only, not at the span: too large to be"
            " read again for it, as with large attachments."
        )
    if trace.repeated:
        yield f"{_verb(trace.repeated, 'is', 'are')} left out, having come before."


def _verb(count: int, one: str, many: str) -> str:
    return f"{plural(count, 'span')} {one if count == 1 else many}"
