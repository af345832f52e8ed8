"""Grouping: which events are the same issue, in words first, as a hash second.

The readable ``key`` says why; its SHA-256 is what the database compares. A change of the rules
gets a new version, so that issues grouped by the old ones stay what they are.

    rule's fingerprint, else client's fingerprint, else
    exceptions ── types of the chain, calls of the main one ── members of a group
    no stack   ── type and message, the message without what changes from event to event

Version 1. Line numbers, release folders, hosts, hashes of bundles, depth of a recursion and numbers
that compilers give do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from app.issues.calls import describe_stack
from app.issues.fingerprint import expand, is_default
from app.issues.parametrize import parametrize
from app.issues.rules import Rule, apply_rules
from app.issues.tree import Node, grow
from app.protocol.event import Event

GROUPING_VERSION = "1"
# More distinct exceptions than this make a key nobody reads.
MAX_EXCEPTIONS = 20


@dataclass(frozen=True, slots=True)
class Grouping:
    """Why an event belongs to its issue.

    :param key: readable, one line a part.
    :param reason: what decided, for "Grouped by: …".
    :param ignored_by: the name of the rule that says to ignore the event; it is grouped all the
        same.
    """

    version: str
    key: str
    reason: str = "stack trace"
    ignored_by: str | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the key, 64 hex digits."""
        return hashlib.sha256(self.key.encode("utf-8", "replace")).hexdigest()


def group(event: Event, rules: Sequence[Rule] = ()) -> Grouping:
    """Return the grouping of an event.

    :param rules: of the user, in their order; a fingerprint of theirs wins over the client's.
    """
    outcome = apply_rules(event, rules) if rules else None
    ignored_by = outcome.ignored_by.name if outcome and outcome.ignored_by else None
    reason, key = _default(event)
    if outcome and outcome.rule:
        reason, parts = f"rule: {outcome.rule.name}", outcome.rule.fingerprint
    elif is_default(event.fingerprint):
        parts = []
    else:
        reason, parts = "fingerprint of the client", event.fingerprint
    if not is_default(parts):
        key = "fingerprint\n" + expand(parts, event, key)
    return Grouping(GROUPING_VERSION, key, reason, ignored_by)


group_v1 = group


def _default(event: Event) -> tuple[str, str]:
    if event.exceptions and not _only_carries_a_message(event):
        return _exceptions(event)
    if event.message_template:
        return "message", f"message {parametrize(event.message_template)}"
    if stack := describe_stack(event.main_frames, type=None, value=None):
        return "stack trace", f"at {stack}"
    where = event.transaction or event.logger
    return "message", f"no message in {where}" if where else "no message"


def _only_carries_a_message(event: Event) -> bool:
    """Tell what JavaScript's ``captureMessage`` makes: no error, but an exception with its text."""
    exception = event.exceptions[-1]
    return (
        len(event.exceptions) == 1
        and not exception.type
        and bool(event.message)
        and (exception.is_synthetic or exception.value in (None, event.message))
    )


def _exceptions(event: Event) -> tuple[str, str]:
    root = grow(event.exceptions)
    stack, of = _first_stack(root)
    main = root.exception
    if stack is None:
        head, reason = (
            f"{_type(root)}: {parametrize(main.value or '')}",
            "exception type and message",
        )
    else:
        head, reason = f"{_type(root)} at {stack}" if of is root else _type(root), "stack trace"
    lines = [head]
    for cause in root.causes[:MAX_EXCEPTIONS]:
        lines.append(f"caused by {_type(cause)}" + (f" at {stack}" if cause is of else ""))
    lines += [f"of {member}" for member in _members(root)]
    return reason, "\n".join(lines)


def _first_stack(root: Node) -> tuple[str | None, Node]:
    """Return the stack that decides: the main exception's, else that of its nearest cause."""
    for node in (root, *root.causes):
        exception = node.exception
        stack = describe_stack(exception.frames, type=exception.type, value=exception.value)
        if stack is not None:
            return stack, node
    return None, root


def _members(group: Node) -> list[str]:
    """Describe each kind of member once, in one order: which task failed first is chance."""
    kinds = {_member(member) for node in (group, *group.causes) for member in node.members}
    return sorted(kinds)[:MAX_EXCEPTIONS]


def _member(node: Node) -> str:
    exception = node.exception
    stack = describe_stack(exception.frames, type=exception.type, value=exception.value)
    text = f"{_type(node)} at {stack}" if stack else _type(node)
    if causes := [_type(cause) for cause in node.causes]:
        text += f" caused by {', '.join(causes[:MAX_EXCEPTIONS])}"
    inner = _members(node)
    return f"{text} of [{'; '.join(inner)}]" if inner else text


def _type(node: Node) -> str:
    return node.exception.type or "?"
