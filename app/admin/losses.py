"""Losses: what a project's clients lost and what was refused here, by reason and SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from sqlalchemy import Connection

from app.admin.charts import count_bars
from app.admin.insight_page import InsightChoice, insight_page
from app.insights.losses import Selection, by_reason, lines_of, over_time, sdks_of
from app.intake.refusals import refused_by_reason
from app.stats.losses import CLIENT, REFUSED

# The rows that the table of a reason has at most.
LINES = 20


class LossChoice(InsightChoice):
    """The losses that the page shows."""

    defaults: ClassVar = {"period": "day"}
    narrows_by: ClassVar = ("sdk", "version", "reason")


@insight_page("/losses", "losses.html", LossChoice, Selection)
def list_of_losses(conn: Connection, choice: LossChoice, selection: Selection) -> dict[str, Any]:
    """Show what clients report as lost, and what was refused, each with its reason in words."""
    lines = lines_of(conn, selection)
    groups = {source: by_reason(lines, source) for source in (CLIENT, REFUSED)}
    charts = {
        source: count_bars(
            over_time(conn, replace(selection, source=source), choice.step),
            selection.since,
            choice.step,
            noun,
        )
        for source, noun in ((CLIENT, "item"), (REFUSED, "envelope"))
    }
    lost = [group for group in groups[CLIENT] if not group.meaning.is_intended]
    return {
        "lost": lost,
        "intended": groups[CLIENT][len(lost) :],
        "refused": groups[REFUSED],
        "totals": {name: _total(some) for name, some in (("lost", lost), *groups.items())},
        "charts": charts,
        "sdks": sdks_of(lines),
        "shown_lines": LINES,
        "of_no_project": sum(
            one.count for one in refused_by_reason(conn) if one.project_id is None
        ),
    }


def _total(groups: Sequence[Any]) -> int:
    return sum(group.quantity for group in groups)
