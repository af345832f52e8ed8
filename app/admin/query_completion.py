"""Completions of the query line, for scripts: without them the line and its menu work alike."""

from __future__ import annotations

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.last_project import named_project
from app.protocol.event import clean_text
from app.search.completion import complete
from app.web import access
from app.web.current import current_store


@bp.get("/live/completions")
@access.views
def completions() -> ResponseReturnValue:
    """Return completions of ``?word=``, for ``?list=issues`` or ``events``."""
    word = clean_text(request.args.get("word", ""))
    for_events = request.args.get("list") == "events"
    with current_store().read() as conn:
        found = complete(conn, word, project_id=named_project(), for_events=for_events)
    return jsonify(completions=[one._asdict() for one in found])
