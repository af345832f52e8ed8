"""The menu *Filter* of a list: links that write a term into the query line.

It has a hundred links, and few change from one view to the next. So its HTML is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from markupsafe import Markup

from app.admin.filters import short_release
from app.admin.query_line import is_short
from app.admin.remembered import Remembered
from app.protocol.lenient import LEVELS
from app.search.grammar import Query, Term, parse, with_term, without
from app.search.keys import MEANINGS
from app.web.templating import escaped, shown

MAX_RELEASES = 8
STATES = ("new", "regressed", "assigned", "unassigned")

_menus = Remembered(500_000)


class Group(NamedTuple):
    """The links for one key.

    :param key: of the query, or of a parameter of the address.
    :param values: the value and the label of each link.
    """

    label: str
    key: str
    values: Sequence[tuple[str, str]]
    is_parameter: bool = False


def groups_of(
    recent: Mapping[str, Sequence[str]],
    projects: Mapping[int, str],
    users: Sequence[str] | None = None,
) -> tuple[Group, ...]:
    """Return the groups of the menu.

    :param recent: environments and releases, newest first.
    :param projects: all projects by id.
    :param users: the names of users; ``None`` for a list of events.
    """
    newest = [(release, short_release(release)) for release in recent["release"][:MAX_RELEASES]]
    groups = [
        Group("Level", "level", _same(LEVELS)),
        Group("Environment", "environment", _same(recent["environment"])),
        Group("Release", "release", (("latest", "latest"), *newest)),
    ]
    if users is not None:
        groups.insert(0, Group("State", "is", _same(STATES)))
        names = [("me", "me"), ("none", "nobody"), *_same(users)]
        groups.append(Group("Assigned to", "assigned", tuple(names)))
    if len(projects) > 1:
        shown = tuple((str(id), name) for id, name in projects.items())
        groups.append(Group("Project", "project", shown, is_parameter=True))
    return tuple(groups)


def query_menu(path: str, values: Mapping[str, str], groups: tuple[Group, ...]) -> Markup:
    """Return the links of a menu as HTML; that of a term which the query has takes it out.

    A long query has no menu, since each link repeats it.

    :param path: of the list.
    :param values: the parameters of the address.
    """
    if not is_short(values):
        return Markup()
    key = (path, *values.items(), *groups)
    html = _menus.get(key)
    if html is None:
        html = "".join(_group(path, dict(values), group) for group in groups if group.values)
        _menus.put(key, html)
    return Markup(html)  # noqa: S704 -- every text is escaped below


def _group(path: str, values: dict[str, str], group: Group) -> str:
    query = parse(values.get("query", ""))
    links = "".join(_link(path, values, query, group, *each) for each in group.values)
    return f'<div class="filter-group"><b>{escaped(group.label)}</b>{links}</div>'


def _link(
    path: str, values: dict[str, str], query: Query, group: Group, value: str, label: str
) -> str:
    if group.is_parameter:
        is_on = values.get(group.key) == value
        changed = {group.key: "" if is_on else value}
    else:
        terms = set(query.terms)
        added = _with(query, group.key, value)
        is_on = set(added.terms) == terms
        changed = {"query": str(without(query, group.key, value) if is_on else added)}
    given = {name: text for name, text in (values | changed).items() if text}
    address = f"{path}?{urlencode(given)}" if given else path
    mark = ' class="on" aria-current="true"' if is_on else ""
    return f'<a href="{escaped(address)}"{mark}>{shown(label)}</a>'


def _with(query: Query, key: str, value: str) -> Query:
    # Here "me", "none" and "latest" have their meaning. As names they are written in quotes.
    if value in MEANINGS.get(key, ()):
        term: Term = parse(f"{key}:{value}").terms[0]
        return Query((*without(query, key).terms, term))
    return with_term(query, key, value)


def _same(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)
