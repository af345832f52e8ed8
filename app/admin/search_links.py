"""Links from a tag, a user, a release, a file or a transaction to the issues that have it."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from flask import url_for

from app.search.grammar import MAX_LENGTH, Query, with_term

# What a browser sends as it is in a query; "+" and "&" have a meaning there.
_SAFE = "!$*,/:;?@[]"


def search_link(key: str, value: str) -> str:
    """Return the address of the issues that have an event with this value.

    :param key: a key of the query, or ``tags[name]`` for any tag.
    """
    return f"{url_for('admin.list_of_issues')}?query={_query(key, value)}"


@lru_cache(maxsize=2000)
def _query(key: str, value: str) -> str:
    # Quotes and escapes need room, too.
    return quote(str(with_term(Query(), key, value[: MAX_LENGTH // 2 - len(key)])), safe=_SAFE)
