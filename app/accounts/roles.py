"""The roles of users. Each role may do all that the roles before it may do.

viewer    reads
member    decides about issues, comments, sends test errors
admin     configures, deletes, manages users and tokens
"""

from __future__ import annotations

ROLES = ("viewer", "member", "admin")


def includes(role: str, needed: str) -> bool:
    """Return whether a role may do what another role may do; an unknown role may do nothing."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)
