"""The exceptions of an event as a tree: their causes, and the members of exception groups.

Source: https://develop.sentry.dev/sdk/data-model/event-payloads/exception/ (Exception Groups),
2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.protocol.libraries import likely_frames, own_frames
from app.protocol.stack import ExceptionValue, Frame

# Returns the frames of the application from the frames of a stack.
Picker = Callable[[list[Frame]], list[Frame]]

# A client may send thousands of exceptions, nested in any way. Only this many are read.
MAX_NODES = 200
MAX_DEPTH = 10


@dataclass(slots=True, eq=False)
class Node:
    """An exception with its causes, the nearest first, and the members of its group."""

    exception: ExceptionValue
    causes: list[Node] = field(default_factory=list)
    members: list[Node] = field(default_factory=list)


def grow(exceptions: list[ExceptionValue]) -> Node:
    """Return the tree of exceptions. Its root is the last exception of the payload.

    Without the ids of exception groups, there are two cases. If the root is an exception group, the
    others are its members. Otherwise the exceptions are a chain, the oldest cause first. An
    exception without a known parent is also a cause in the chain of the root.
    """
    *others, main = exceptions[-MAX_NODES:]
    others.reverse()
    children: dict[int, list[ExceptionValue]] = {}
    for exception in others:
        if exception.parent_id is not None:
            children.setdefault(exception.parent_id, []).append(exception)
    if not children and main.is_exception_group:
        return Node(main, members=[Node(exception) for exception in others])
    reached: set[int] = set()
    root = _branch(main, children, reached, 0)
    strays = [Node(exception) for exception in others if id(exception) not in reached]
    root.causes = _distinct([*root.causes, *strays])
    return root


def decide(root: Node) -> list[Node]:
    """Return the exception that identifies the bug, followed by its causes, the nearest first.

    It is the nearest exception of the chain that has frames of the application. The exceptions that
    a library wraps around it (Android's "Unable to start activity", ``ServletException``,
    ``AggregateException``) are the same for many bugs. If the client marked no frame as the
    application's, known library names decide. If they do not decide either, it is the outermost.
    """
    if not (root.causes or root.members):
        return [root]
    return _nearest(root, own_frames) or _nearest(root, likely_frames) or [root, *root.causes]


def _nearest(root: Node, pick: Picker) -> list[Node] | None:
    chain = [root, *root.causes]
    for position, node in enumerate(chain):
        causes = chain[position + 1 :]
        if pick(node.exception.frames) and not _is_wrapped_around(node, causes, pick):
            return chain[position:]
        if len(_kinds(node.members, pick)) == 1:
            if inner := _nearest(node.members[0], pick):
                return inner
        elif any(pick(member.exception.frames) for member in node.members):
            return chain[position:]
    return None


def _is_wrapped_around(node: Node, causes: list[Node], pick: Picker) -> bool:
    """Return whether a library raised the exception around a callback of the application.

    Then its application frames are the first frames of a cause: a filter before a servlet.
    """
    frames = node.exception.frames
    if pick(frames[-1:]):
        return False
    outer = _names(pick(frames))
    for cause in causes:
        inner = _names(pick(cause.exception.frames))
        if len(inner) > len(outer) and inner[: len(outer)] == outer:
            return True
    return False


def _names(frames: list[Frame]) -> list[tuple[str | None, ...]]:
    return [(frame.module, frame.filename, frame.function) for frame in frames]


def _kinds(members: list[Node], pick: Picker) -> set[object]:
    return {(member.exception.type, *_names(pick(member.exception.frames))) for member in members}


def _branch(
    exception: ExceptionValue,
    children: dict[int, list[ExceptionValue]],
    reached: set[int],
    depth: int,
) -> Node:
    node = Node(exception)
    reached.add(id(exception))
    own_id = exception.exception_id if depth else exception.exception_id or 0
    for child in children.get(own_id, ()) if own_id is not None and depth < MAX_DEPTH else ():
        if id(child) in reached:
            continue
        branch = _branch(child, children, reached, depth + 1)
        if _is_member(child, exception):
            node.members.append(branch)
        else:
            # A chain is flat: the cause of a cause belongs to the same chain.
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
    """Return causes without those of the same type as the cause before: a repeated attempt."""
    kept: list[Node] = []
    for node in causes:
        if not kept or node.members or node.exception.type != kept[-1].exception.type:
            kept.append(node)
    return kept
