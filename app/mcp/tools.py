"""The tools: their list, and one call.

    @tool("get_issue", "Read an issue")
    def get_issue(given: IssueArguments, reach: Reach, answer: Answer) -> None:
        \"""Return an issue with its figures, tags and history.\"""

The model of ``given`` is the schema of the arguments, and the docstring is what a language model
reads about the tool. A call that cannot be carried out is answered with ``isError`` and the reason,
so that the model can do better.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from app.accounts import audit
from app.accounts.tokens import MCP_WRITE, Access
from app.inputs import InputError
from app.mcp.answers import DEFAULT_CHARACTERS, Answer
from app.mcp.reach import Reach
from app.mcp.schemas import schema_of
from app.mcp.untrusted import one_line
from app.memory.vectors.errors import VectorError
from app.web.current import current_store
from app.web.errors import FieldErrors

Run = Callable[[Any, Reach, Answer], None]
Function = TypeVar("Function", bound=Run)

# The arguments that name what a call is about, for the audit log.
_SUBJECTS = {
    "issue_id": "issue",
    "event_id": "event",
    "envelope_id": "delivery",
    "project_id": "project",
}
# The wrong arguments that an answer names. A body has room for thousands of unknown ones.
MAX_REASONS = 10


class UnknownTool(Exception):
    """There is no tool of this name."""


@dataclass(frozen=True)
class Tool:
    """A tool.

    :param changes: whether it changes something, which needs the scope ``mcp:write``.
    :param of_memories: whether it needs a token with users of memories.
    """

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    run: Run
    changes: bool
    of_memories: bool

    def refusal(self, reach: Reach) -> str | None:
        """Return why a token may not call the tool, ``None`` if it may."""
        if self.changes and not reach.may_change:
            return f"{self.name} changes something: the token needs the scope {MCP_WRITE}"
        if self.of_memories and not reach.memory_users:
            return f"{self.name} reads memories: the token names no users whose memories it reads"
        return None

    def shown(self) -> dict[str, Any]:
        """Return the tool as the list of tools has it."""
        hints = {"readOnlyHint": not self.changes, "openWorldHint": False}
        if self.changes:
            hints |= {"destructiveHint": False, "idempotentHint": self.name != "comment_on_issue"}
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": schema_of(self.arguments),
            "annotations": hints,
        }


TOOLS: dict[str, Tool] = {}


def tool(
    name: str, title: str, *, changes: bool = False, of_memories: bool = False
) -> Callable[[Function], Function]:
    """Return a decorator that makes a function a tool; for the parameters see :class:`Tool`."""

    def decorate(function: Function) -> Function:
        description = " ".join((inspect.getdoc(function) or "").split())
        arguments = get_type_hints(function)["given"]
        TOOLS[name] = Tool(name, title, description, arguments, function, changes, of_memories)
        return function

    return decorate


def listed(token: Access) -> list[dict[str, Any]]:
    """Return the tools that a token may call, those that read first."""
    reach = Reach.of(token)
    found = [one for one in TOOLS.values() if one.refusal(reach) is None]
    return [one.shown() for one in sorted(found, key=lambda one: one.changes)]


def call(name: str, arguments: dict[str, Any], token: Access) -> dict[str, Any]:
    """Call a tool, and return the result as MCP has it.

    :raise UnknownTool: there is no such tool.
    """
    if name not in TOOLS:
        raise UnknownTool(name)
    found, reach = TOOLS[name], Reach.of(token)
    if reason := found.refusal(reach):
        _note_often("tool_refused", found.name, reason)
        return _failed(reason)
    given: BaseModel | None = None
    try:
        given = found.arguments.model_validate(arguments)
        if not found.changes:
            _note_often("tool_read", found.name, subject_of(given))
        answer = Answer(getattr(given, "max_characters", DEFAULT_CHARACTERS))
        found.run(given, reach, answer)
    except (ValidationError, FieldErrors, InputError, VectorError) as error:
        reasons = list(_reasons(error))
        if given is None or found.changes:  # A valid call that reads has its entry.
            about = subject_of(given) if given else ""
            _note_often(
                "tool_refused", found.name, f"{about}: {reasons[0]}" if about else reasons[0]
            )
        return _failed(_joined(reasons))
    return {"content": [{"type": "text", "text": answer.text()}], "isError": False}


def note_change(conn: Connection, name: str, given: BaseModel) -> None:
    """Add an entry of a change to the audit log, in the transaction of the change."""
    audit.note(conn, "tool_changed", name, subject_of(given))


def subject_of(given: BaseModel) -> str:
    """Return what a call is about, in words: what it names, but not whose memories it reads."""
    named = [
        (thing, getattr(given, name, None))
        for name, thing in _SUBJECTS.items()
        if name in given.model_fields_set
    ]
    return ", ".join(f"{thing} {value}" for thing, value in named if value is not None)


def _note_often(action: str, name: str, detail: str) -> None:
    """Add an entry of what a program does many times a second: one a minute, token and tool."""
    store = current_store()
    with store.read() as conn:
        if audit.was_noted(conn, action, name):
            return
    with store.write(durable=False) as conn:
        audit.note_once_a_minute(conn, action, name, detail)


def _reasons(error: Exception) -> Iterator[str]:
    if isinstance(error, ValidationError):
        for detail in error.errors(include_input=False, include_url=False, include_context=False):
            yield _reason(".".join(map(str, detail["loc"])), detail["msg"])
    elif isinstance(error, FieldErrors):
        yield from (_reason(one["field"], one["message"]) for one in error.errors)
    elif isinstance(error, InputError) and error.status == 422:
        yield from (_reason(field, message) for field, message in error.errors.items())
    else:
        yield one_line(str(error), 300)


def _joined(reasons: list[str]) -> str:
    more = len(reasons) - MAX_REASONS
    return "\n".join([*reasons[:MAX_REASONS], *([f"and {more} more"] if more > 0 else [])])


def _reason(field: str, message: str) -> str:
    # A field that is no argument comes from the caller, and may have been taken from an event.
    return f"{one_line(field or 'arguments', 60)}: {one_line(message, 300)}"


def _failed(reason: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": reason}], "isError": True}
