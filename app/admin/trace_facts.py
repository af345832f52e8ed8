"""The facts of a trace beside its waterfall: services, what was odd, and those of one span."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from app.admin.filters import plural
from app.events.values import Shown, printable, show_all
from app.protocol.span import Kind, values_of
from app.traces.reading import MAX_SPANS, Trace
from app.traces.tree import Node, Tree

# Of one span.
MAX_VALUES = 60
MAX_SERVICES = 50


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
    return sorted(found.values(), key=lambda one: -one.self_ms)[:MAX_SERVICES]


def notices_of(trace: Trace, tree: Tree) -> list[str]:
    """Return a sentence about each thing that keeps the waterfall from being exact."""
    return list(_notices(trace, tree))


def _notices(trace: Trace, tree: Tree) -> Iterator[str]:
    if trace.has_more_spans:
        shown = plural(len(trace.spans), "span")
        yield f"The trace is larger than one page reads: {shown} of at most {MAX_SPANS:,} are here."
    if missing := tree.count("missing"):
        yield (
            f"{plural(missing, 'span')} with a parent that is not stored: it was not sampled, was"
            " removed, or is on its way. What is inside a transaction stands below that one."
        )
    if circles := tree.count("circle"):
        yield f"{plural(circles, 'span')} below itself: such a circle begins at the top here."
    if outside := sum(node.is_outside for node in tree.nodes):
        yield (
            f"{plural(outside, 'span')} outside of the time of the parent: the clocks of two"
            " programs differ, or work went on after the parent had ended."
        )
    if unknown := sum(node.span.ms is None for node in tree.nodes):
        yield f"{plural(unknown, 'span')} without a plausible time, so without a bar."
    if trace.repeated:
        yield f"{plural(trace.repeated, 'span')} came more than once and stands here once."
