"""The filter of a list of issues with a query and a range of time: for the API and the page."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection, not_

from app.inputs import Control, InputError
from app.inputs.period import Range, RangeFilter
from app.issues.filter import ME, NOBODY, IssueFilter, IssueSelection
from app.issues.tables import issues
from app.protocol.event import parse_event_id
from app.search.errors import QueryError
from app.search.grammar import MAX_LENGTH, Query, Term, Value, parse
from app.search.issue_terms import NONE, condition_of, statuses_of
from app.search.issues import issues_with
from app.search.projects import project_ids
from app.store import utc_now
from app.store.paging import hidden

QueryText = Annotated[
    str,
    Field(
        max_length=MAX_LENGTH,
        description="Terms such as `is:unresolved level:error region:eu timesSeen:>100 timeout`.",
    ),
]
# Fields that the same event has to fulfil as the terms of the query.
EXACT = ("level", "environment", "release")


def check_query(text: str | None) -> str | None:
    """Return the text of a query that can be read.

    :raise PydanticCustomError: it cannot be read; the message says where.
    """
    try:
        parse(text or "")
    except QueryError as error:
        raise PydanticCustomError("query", "{problem}", {"problem": str(error)}) from None
    return text


class IssueSearch(IssueFilter, RangeFilter):
    """The filter of a list of issues, with a query and a range of time.

    The range leaves out issues without an event in it.
    """

    query: Annotated[QueryText | None, Control("Query")] = None

    _is_query = field_validator("query")(check_query)

    @property
    def parsed(self) -> Query:
        """The query."""
        return parse(self.query or "")

    def seen_by(self, username: str | None) -> Self:
        """Return this filter with ``me`` replaced by the name of a user, in the query as well.

        :raise InputError: the filter has ``me``, and the caller is not a user.
        """
        found = super().seen_by(username)
        terms = [_seen_by(term, username) for term in self.parsed.terms]
        return found.model_copy(update={"query": str(Query(tuple(terms))) or None})

    def resolved(self, conn: Connection) -> IssueSelection:
        """Return this filter with what is looked up once for all of its queries."""
        chosen = self.range_of(utc_now())
        fields, rest = self._as_fields(conn, self.parsed.terms)
        of_event = [term for term in rest if not term.is_of_issue and term.key != "project"]
        if of_event:
            fields |= self._with_event(conn, of_event, chosen, fields.get("project_id"))
        found = [_condition(conn, term, chosen) for term in rest if term not in of_event]
        selection = self.selection(
            conditions=tuple(found),
            wanted=statuses_of(rest),
            seen_since=chosen.start,
            first_before=chosen.end,
            **fields,
        )
        return selection.resolved(conn)

    def _with_event(
        self, conn: Connection, terms: list[Term], chosen: Range, project_id: int | None
    ) -> dict[str, Any]:
        """Return the fields of a selection of the issues with one event that fulfils terms."""
        given = {name: getattr(self, name) for name in EXACT}
        matches = issues_with(
            conn,
            terms,
            chosen,
            project_id=self.project_id or project_id,
            exactly={name: value for name, value in given.items() if value is not None},
        )
        return {"ids": tuple(matches.ids), "searched_back_to": matches.searched_back_to}

    def _as_fields(
        self, conn: Connection, terms: tuple[Term, ...]
    ) -> tuple[dict[str, Any], list[Term]]:
        """Return the values of fields that stand for terms, and the other terms.

        A field can be looked up by an index.
        """
        fields: dict[str, Any] = {}
        rest: list[Term] = []
        for term in terms:
            name, value = _field_of(conn, term)
            if name and name not in fields and getattr(self, name) is None:
                fields[name] = value
            else:
                rest.append(term)
        return fields, rest


def _field_of(conn: Connection, term: Term) -> tuple[str, Any]:
    if term.is_negated or len(term.values) != 1 or term.values[0].has_wildcard:
        return "", None
    text = term.values[0].text
    if not term.key and parse_event_id(text):
        return "q", text
    if term.key == "assigned":
        return "assigned", NOBODY if _is_none(term.values[0]) else text
    if term.key == "project":
        found = project_ids(conn, term)
        return ("project_id", found[0]) if len(found) == 1 else ("", None)
    return "", None


def _condition(conn: Connection, term: Term, chosen: Range) -> Any:
    if term.key != "project":
        return condition_of(term, chosen)
    found = hidden(issues.c.project_id).in_(project_ids(conn, term))
    return not_(found) if term.is_negated else found


def _seen_by(term: Term, username: str | None) -> Term:
    if term.key != "assigned" or not any(_is_me(value) for value in term.values):
        return term
    if username is None:
        raise InputError("a token is not a user: expected the name of one", "query")
    values = [Value(username, True) if _is_me(value) else value for value in term.values]
    return Term(term.key, term.operator, tuple(values), term.is_negated, term.at)


def _is_me(value: Value) -> bool:
    return value.text == ME and not value.is_quoted


def _is_none(value: Value) -> bool:
    return value.text in NONE and not value.is_quoted
