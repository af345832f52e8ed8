"""The projects that a term names."""

from __future__ import annotations

from fnmatch import fnmatchcase

from sqlalchemy import Connection, select

from app.projects.tables import projects
from app.search.grammar import Term, Value


def project_ids(conn: Connection, term: Term, within: int | None = None) -> list[int]:
    """Return the projects of ``project:``, which names them by id or by name, in any case.

    :param within: the only project that is searched; there are no others then.
    """
    query = select(projects.c.id, projects.c.name)
    if within is not None:
        query = query.where(projects.c.id == within)
    names = conn.execute(query).all()
    return [
        project.id
        for project in names
        if any(_is_named(value, project.id, project.name) for value in term.values)
    ]


def fits_project(term: Term, project_id: int, name: str) -> bool:
    """Return whether a project fulfils ``project:``, negated or not."""
    return term.is_negated != any(_is_named(value, project_id, name) for value in term.values)


def _is_named(value: Value, project_id: int, name: str) -> bool:
    text = value.text.lower()
    if value.has_wildcard:
        return fnmatchcase(name.lower(), text.replace("[", "[[]").replace("?", "[?]"))
    return text in (str(project_id), name.lower())
