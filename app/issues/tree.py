"""The exceptions of an event as they hang together: what caused what, what a group holds.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/exception/ (Exception Groups),
2026-11-24.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.protocol.event import ExceptionValue

# A client may send thousands of them, in any shape; whoever reads sees no more than these.
MAX_NODES = 200
MAX_DEPTH = 10


@dataclass(slots=True, eq=False)
class Node:
    """One exception with the causes that led to it, nearest first, and the members it groups."""

    exception: ExceptionValue
    causes: list[Node] = field(default_factory=list)
    members: list[Node] = field(default_factory=list)


def grow(exceptions: list[ExceptionValue]) -> Node:
    """Return the main exception, the last of the payload, with all that hangs on it.

    Without the ids of exception groups the list is a chain, the oldest cause first.
    """
    main = exceptions[-1]
    children: dict[int, list[ExceptionValue]] = {}
    for exception in reversed(exceptions[-MAX_NODES:]):
        if exception.parent_id is not None and exception is not main:
            children.setdefault(exception.parent_id, []).append(exception)
    if main.exception_id is None or not children:
        older = reversed(exceptions[-MAX_NODES:-1])
        return Node(main, causes=_distinct([Node(exception) for exception in older]))
    return _branch(main, children, set(), 0)


def _branch(
    exception: ExceptionValue,
    children: dict[int, list[ExceptionValue]],
    met: set[int],
    depth: int,
) -> Node:
    node = Node(exception)
    own_id = exception.exception_id
    if own_id is None or own_id in met or depth > MAX_DEPTH:
        return node
    met.add(own_id)
    for child in children.get(own_id, ()):
        branch = _branch(child, children, met, depth + 1)
        if _is_member(child, exception):
            node.members.append(branch)
        else:
            # A chain is flat: the cause of a cause belongs to the same line of them.
            causes, branch.causes = branch.causes, []
            node.causes += [branch, *causes]
    node.causes = _distinct(node.causes)
    return node


def _is_member(child: ExceptionValue, parent: ExceptionValue) -> bool:
    source = child.source or ""
    if source.startswith(("exceptions[", "errors[")):
        return True
    return parent.is_exception_group and source not in ("__cause__", "__context__", "cause")


def _distinct(causes: list[Node]) -> list[Node]:
    """Leave out a cause that is of the type of the one before: an attempt that was repeated."""
    kept: list[Node] = []
    for node in causes:
        if not kept or node.members or node.exception.type != kept[-1].exception.type:
            kept.append(node)
    return kept
