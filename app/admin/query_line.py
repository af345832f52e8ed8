"""The query line of a list: read from the address, and written into the links that change it.

Addresses with parameters of older pages (``level``, ``release`` …) stay valid: they become terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from app.issues.filter import NOBODY
from app.protocol.event import clean_text
from app.search.errors import QueryError
from app.search.grammar import MAX_LENGTH, Query, hints, parse, with_term

# Parameters of the address that were terms' predecessors; "" are free words.
OLD_PARAMETERS = {
    "level": "level",
    "environment": "environment",
    "release": "release",
    "transaction": "transaction",
    "assigned": "assigned",
    "q": "",
}
# A list has a link for each row, value or choice. An address longer than this is in none of them:
# 900 letters of other scripts are 11 kB of address, and were half a megabyte of a page.
MAX_ADDRESS = 1000


@dataclass(frozen=True)
class QueryLine:
    """The query of a page.

    :param text: what the line shows.
    :param query: its terms; none if it is wrong.
    :param error: what is wrong with it.
    """

    text: str
    query: Query = field(default_factory=Query)
    error: QueryError | None = None

    @property
    def wrong_part(self) -> tuple[str, str, str]:
        """The text before the wrong part, the wrong part, and the text after it."""
        if self.error is None:
            return self.text, "", ""
        at, end = self.error.at, self.error.end
        return self.text[:at], self.text[at:end] or " ", self.text[end:]

    @property
    def hints(self) -> list[str]:
        """Sentences about keys that look like typos."""
        return hints(self.query)


def read_line(given: Mapping[str, str]) -> QueryLine:
    """Read the query of an address or a form, with the terms that older addresses have."""
    text = clean_text(given.get("query", "")).strip()
    try:
        query = _with_old(parse(text), given)
        # The terms of an old address may make the query too long.
        return QueryLine(text if query == parse(text) else str(query), parse(str(query)))
    except QueryError as error:
        return QueryLine(text[: MAX_LENGTH + 100], error=error)


def is_short(values: Mapping[str, str]) -> bool:
    """Return whether the parameters of a list are short enough for any number of links."""
    return len(urlencode(values)) <= MAX_ADDRESS


def without_old(given: Mapping[str, str], line: QueryLine) -> dict[str, str]:
    """Return the parameters of an address with the query line in place of the older ones."""
    kept = {name: value for name, value in given.items() if name not in OLD_PARAMETERS}
    return kept | {"query": "" if line.error else line.text}


def _with_old(query: Query, given: Mapping[str, str]) -> Query:
    for name, key in OLD_PARAMETERS.items():
        text = clean_text(given.get(name, "")).strip()
        if not text:
            continue
        if key == "assigned" and text in ("me", NOBODY):
            query = Query((*query.terms, *parse(f"assigned:{text}").terms))
        else:
            query = with_term(query, key, text)
    return query
