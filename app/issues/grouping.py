"""Grouping: decide which events belong to the same issue.

Each event gets a readable ``key``, which says why it belongs to its issue. The database compares
the SHA-256 of the key. A change of the rules gets a new version, so that issues of an older version
stay as they are.

    rule's fingerprint, else client's fingerprint, else
    exceptions ── calls of the deciding exception, types of its causes ── members of a group
    no stack   ── type and message, the message without the parts that vary between events

Line numbers, release folders, hosts, hashes of bundles, depth of a recursion and numbers from
compilers do not count. :class:`_Version` describes the differences between version 1 and version 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.issues.fingerprint import expand, is_default
from app.issues.frames import FIRST, SECOND, Names, describe_stack
from app.issues.generated import ungenerated_type
from app.issues.parametrize import parametrize, parametrize_but_names
from app.issues.rules import Rule, apply_rules
from app.protocol.event import Event
from app.protocol.exception_tree import Node, decide, grow
from app.protocol.stack import ExceptionValue

GROUPING_VERSION = "2"
# A key with more distinct exceptions would be too long to read.
MAX_EXCEPTIONS = 20


@dataclass(frozen=True, slots=True)
class Grouping:
    """Why an event belongs to its issue.

    :param key: readable text, one line per part.
    :param reason: what the grouping used, for "Grouped by: …".
    :param ignored_by: the name of the rule that ignores the event; the event is still grouped.
    """

    version: str
    key: str
    reason: str = "stack trace"
    ignored_by: str | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the key, 64 hex digits."""
        return hashlib.sha256(self.key.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Version:
    """The differences between versions of the grouping rules.

    :param names: how the calls of a stack are named.
    :param chain: return the exception for the first line of the key, then its causes.
    :param type: return an exception's type without the parts that vary between events.
    :param message: return the stable form of a message, which decides without a stack.
    :param tells_causes: whether the key has the messages of causes and members without a stack.
    """

    number: str
    names: Names
    chain: Callable[[Node], list[Node]]
    type: Callable[[ExceptionValue], str]
    message: Callable[[str], str]
    tells_causes: bool

    def stack(self, node: Node) -> str | None:
        """Return the calls of an exception as one line, ``None`` if no frame says where it is."""
        exception = node.exception
        return describe_stack(
            exception.frames, self.names, type=exception.type, value=exception.value
        )

    def type_of(self, node: Node) -> str:
        """Return the type of an exception, ``?`` without one."""
        return self.type(node.exception) or "?"

    def saying(self, node: Node) -> str:
        """Return the type of an exception and its message."""
        message = self.message(node.exception.value or "")
        return f"{self.type_of(node)}: {message}" if message else self.type_of(node)


def _second_type(exception: ExceptionValue) -> str:
    type = ungenerated_type(exception.type or "")
    return type if exception.error_code is None else f"{type} (code {exception.error_code})"


_FIRST = _Version(
    "1",
    FIRST,
    lambda root: [root, *root.causes],
    lambda exception: exception.type or "",
    parametrize,
    tells_causes=False,
)
_SECOND = _Version("2", SECOND, decide, _second_type, parametrize_but_names, tells_causes=True)


def group(event: Event, rules: Sequence[Rule] = ()) -> Grouping:
    """Return the grouping of an event by the current version of the rules.

    :param rules: the user's rules, in their order; the fingerprint of a rule takes precedence over
        that of the client.
    """
    return _group(event, rules, _SECOND)


def group_v1(event: Event, rules: Sequence[Rule] = ()) -> Grouping:
    """Return the grouping of an event by version 1, to find an issue that version 1 made.

    :param rules: the user's rules, as in :func:`group`.
    """
    return _group(event, rules, _FIRST)


def _group(event: Event, rules: Sequence[Rule], version: _Version) -> Grouping:
    outcome = apply_rules(event, rules) if rules else None
    ignored_by = outcome.ignored_by.name if outcome and outcome.ignored_by else None
    reason, key = _default(event, version)
    if outcome and outcome.rule:
        reason, parts = f"rule: {outcome.rule.name}", outcome.rule.fingerprint
    elif is_default(event.fingerprint):
        parts = []
    else:
        reason, parts = "fingerprint of the client", event.fingerprint
    if not is_default(parts):
        key = "fingerprint\n" + expand(parts, event, key)
    return Grouping(version.number, key, reason, ignored_by)


def _default(event: Event, version: _Version) -> tuple[str, str]:
    if event.exceptions and not _only_carries_a_message(event):
        return _exceptions(event, version)
    if event.message_template:
        return "message", f"message {version.message(event.message_template)}"
    if stack := describe_stack(event.stack, version.names, type=None, value=None):
        return "stack trace", f"at {stack}"
    where = event.transaction or event.logger
    return "message", f"no message in {where}" if where else "no message"


def _only_carries_a_message(event: Event) -> bool:
    """Return whether the event has no error, only a message in the form of an exception.

    JavaScript's ``captureMessage`` makes such events.
    """
    exception = event.exceptions[-1]
    return (
        len(event.exceptions) == 1
        and not exception.type
        and bool(event.message)
        and (exception.is_synthetic or exception.value in (None, event.message))
    )


def _exceptions(event: Event, version: _Version) -> tuple[str, str]:
    chain = version.chain(grow(event.exceptions))
    head, *causes = chain
    # The deciding stack: that of the first exception, else that of the nearest cause with a stack.
    stacks = ((node, stack) for node in chain if (stack := version.stack(node)) is not None)
    of, stack = next(stacks, (head, None))
    line, reason = version.type_of(head), "stack trace"
    if stack is None:
        line += f": {version.message(head.exception.value or '')}"
        reason = "exception type and message"
    elif of is head:
        line += f" at {stack}"
    tell = version.saying if stack is None and version.tells_causes else version.type_of
    lines = [line]
    for cause in causes[:MAX_EXCEPTIONS]:
        lines.append(f"caused by {tell(cause)}" + (f" at {stack}" if cause is of else ""))
    lines += [f"of {member}" for member in _members(chain, version, tell)]
    return reason, "\n".join(lines)


def _members(chain: list[Node], version: _Version, tell: Callable[[Node], str]) -> list[str]:
    """Return each kind of group member once, sorted: which task failed first is random."""
    kinds = {_member(member, version, tell) for node in chain for member in node.members}
    return sorted(kinds)[:MAX_EXCEPTIONS]


def _member(node: Node, version: _Version, tell: Callable[[Node], str]) -> str:
    stack = version.stack(node)
    text = f"{version.type_of(node)} at {stack}" if stack else tell(node)
    if causes := [tell(cause) for cause in node.causes]:
        text += f" caused by {', '.join(causes[:MAX_EXCEPTIONS])}"
    inner = _members([node, *node.causes], version, tell)
    return f"{text} of [{'; '.join(inner)}]" if inner else text
