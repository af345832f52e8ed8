"""Whose memories: of a user, and of one agent or run of this user if they are named."""

from __future__ import annotations

from typing import Any, NamedTuple


class Scope(NamedTuple):
    """Whose memories a call reads or removes, or to whom a new memory belongs.

    A new memory belongs to exactly these. In every other call, ``None`` means any.
    """

    user_id: str
    agent_id: str | None = None
    run_id: str | None = None

    def has(self, memory: Any) -> bool:
        """Return whether a memory is of this user, and of this agent and run if they are named.

        :param memory: a row or point with ``user_id``, ``agent_id`` and ``run_id``.
        """
        return (
            memory.user_id == self.user_id
            and self.agent_id in (None, memory.agent_id)
            and self.run_id in (None, memory.run_id)
        )

    @property
    def is_whole_user(self) -> bool:
        """Whether no agent and no run is named."""
        return self.agent_id is None and self.run_id is None


def scope_of(memory: Any) -> Scope:
    """Return the user, the agent and the run of a row."""
    return Scope(memory.user_id, memory.agent_id, memory.run_id)
