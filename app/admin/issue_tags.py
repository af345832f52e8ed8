"""The tags beside an issue, as HTML: drawn again only when a count has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import current_app, request
from markupsafe import Markup

from app.admin.remembered import Remembered
from app.issues.queries import Tag

# About 150 issues.
_drawn = Remembered(2_000_000)


def issue_tags(tags: Sequence[Tag], *, has_types: bool) -> Markup:
    """Return the tags of an issue.

    :param has_types: whether the page lists the types of errors, so that they are no tag.
    """
    shown = tuple((tag.key, tag.times_seen, tag.rest, *tag.values) for tag in tags)
    key = (request.script_root, has_types, shown)
    html = _drawn.get(key)
    if html is None:
        macros: Any = current_app.jinja_env.get_template("_issue_tags.html").module
        html = str(macros.tags_section(tags, has_types))
        _drawn.put(key, html)
    return Markup(html)  # noqa: S704 -- a template of ours, which escapes
