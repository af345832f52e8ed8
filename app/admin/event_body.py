"""The body of an event on its page: stack, breadcrumbs, request and contexts."""

from __future__ import annotations

import hashlib

from flask import render_template
from markupsafe import Markup

from app.admin.event_view import EventView
from app.admin.remembered import Remembered

# About a hundred bodies: the page of an issue and that of its last event show the same one.
_bodies = Remembered(8_000_000)


def event_body(view: EventView) -> Markup:
    """Return the body as HTML.

    It depends on the stored event and its project's repository alone, and is remembered by them.
    """
    row = view.stored.row
    # An envelope may have megabytes: they must not stay in memory as a key.
    key = (row.event_id, row.received_at, hashlib.sha256(row.body).digest(), view.source_url)
    html = _bodies.get(key)
    if html is None:
        html = render_template("_event_main.html", view=view)
        _bodies.put(key, html)
    return Markup(html)  # noqa: S704 -- a template of ours, which escapes
