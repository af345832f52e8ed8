"""Tools that read memories, of the users that a token names."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from app.inputs.queries import Paged
from app.mcp.answers import Answer, Sized, at, number
from app.mcp.kinds.arguments import ListLimit
from app.mcp.reach import Reach
from app.mcp.tools import tool
from app.mcp.untrusted import one_line
from app.memory import current_memories
from app.memory.inputs import AgentId, MemoryFilter, MemorySearch, RunId, UserId
from app.memory.scope import Scope

OneOf = Annotated[
    UserId | None, Field(description="Whose memories; may be left out if the token has one user.")
]


class MemoriesArguments(Sized, MemoryFilter, Paged):
    """Which memories to list."""

    user_id: OneOf = None
    agent_id: AgentId | None = None
    run_id: RunId | None = None
    limit: ListLimit = 20


class MemorySearchArguments(Sized, MemorySearch):
    """What to search for."""

    user_id: OneOf = None  # type: ignore[assignment]  # the token's only user stands in for it
    limit: ListLimit = 10


@tool("list_memories", "List memories", of_memories=True)
def list_memories(given: MemoriesArguments, reach: Reach, answer: Answer) -> None:
    """List memories (notes) of a user, the newest first; `q` is a part of their text."""
    user_id = reach.memory_user(given.user_id)
    scope = Scope(user_id, given.agent_id, given.run_id)
    rows = current_memories().listed(scope, given, before=given.cursor, limit=given.limit + 1)
    answer.say(f"{number(len(rows[: given.limit]), 'memory').replace('memorys', 'memories')}.")
    if len(rows) > given.limit:
        answer.say(f"The next page has the cursor {rows[given.limit - 1].seq}")
    for row in rows[: given.limit]:
        _show(answer, row)


@tool("search_memories", "Search memories", of_memories=True)
def search_memories(given: MemorySearchArguments, reach: Reach, answer: Answer) -> None:
    """Search memories (notes) of a user by meaning and keywords, the best match first."""
    user_id = reach.memory_user(given.user_id)
    fields = given.model_fields_set & MemorySearch.model_fields.keys() - {"user_id", "limit"}
    chosen = {name: getattr(given, name) for name in fields}
    wanted = MemorySearch(**chosen, user_id=user_id, limit=given.limit)
    found = current_memories().search(wanted)
    answer.say(f"{number(len(found.hits), 'memory').replace('memorys', 'memories')}.")
    if found.waiting:
        answer.say(f"{found.waiting} could not be searched yet.")
    if found.problem:
        answer.say(f"{one_line(found.problem, 300)}.")
    for hit in found.hits:
        _show(answer, hit.row, f", score {hit.score:.2f}")


def _show(answer: Answer, row: Any, more: str = "") -> None:
    answer.say(f"Memory {row.id}, stored {at(row.created_at)}, changed {at(row.updated_at)}{more}")
    answer.quote(
        kind=row.kind,
        tags=", ".join(row.tags or ()),
        metadata=json.dumps(row.metadata, ensure_ascii=False) if row.metadata else None,
    )
    answer.quote_text(row.content)
