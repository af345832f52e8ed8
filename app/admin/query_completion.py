"""Completions of the query line, for scripts: without them the line and its menu work alike."""

from __future__ import annotations

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.last_project import named_project
from app.protocol.event import clean_text
from app.search.completion import complete
from app.signals.logs.completion import complete_logs
from app.web import access
from app.web.current import current_store


@bp.get("/live/completions")
@access.views
def completions() -> ResponseReturnValue:
    """Return completions of ``?word=``, for ``?list=issues``, ``events`` or ``logs``."""
    word = clean_text(request.args.get("word", ""))
    of, project_id = request.args.get("list"), named_project()
    with current_store().read() as conn:
        if of == "logs":
            found = complete_logs(conn, word, project_id)
        else:
            found = complete(conn, word, project_id=project_id, for_events=of == "events")
    return jsonify(completions=[one._asdict() for one in found])
