"""A profile: the flame graph of a thread, and the functions in which it spent its time."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.filter_bar import row_number
from app.admin.flame import make_flame
from app.events.profiles import profile_of
from app.protocol.scrubbing.budget import UNCHECKED
from app.web import access
from app.web.current import current_store
from app.web.errors import or_404

UNKNOWN = "this envelope has no profile that can be drawn"
# How many functions the page lists.
MAX_HOT = 20


@bp.get("/deliveries/<int:envelope_id>/profile")
@access.views
def show_profile(envelope_id: int) -> ResponseReturnValue:
    """Show a profile that is in an envelope.

    :raise 404: there is none, it has no samples, or it is too large to be read.
    """
    item, zoomed, thread = row_number("item"), row_number("from"), request.args.get("thread")
    with current_store().read() as conn:
        profile = or_404(profile_of(conn, envelope_id, item, thread), UNKNOWN)
    kept: dict[str, object] = {} if item is None else {"item": item}
    if thread is not None:
        kept["thread"] = profile.thread.id
    return render_template(
        "profile.html",
        envelope_id=envelope_id,
        profile=profile,
        flame=make_flame(profile, zoomed or 0),
        hot=[one for one in profile.hot[:MAX_HOT] if one.own],
        lacks_names=any(UNCHECKED in one.function for one in profile.hot),
        kept=kept,
        zoomed=zoomed,
    )
