"""The status page: the state of the service, and what to do about each problem."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from flask import render_template
from flask.typing import ResponseReturnValue

from app.admin import bp
from app.admin.filters import plural, size
from app.admin.header import header_of, read_header
from app.admin.start import terms
from app.delivery.upstreams import WORDS, Upstream, list_upstreams
from app.insights.losses import ClientLoss
from app.projects import OWN_PROJECT_ID
from app.store import StoreError, utc_now
from app.web import access, system
from app.web.current import current_destinations, current_store

GIB = 1024**3
# The page warns if less than this share of the disk, or fewer than these bytes, are free.
LOW_DISK_SHARE = 0.05
LOW_DISK_BYTES = 1 * GIB
LOW_MEMORY_SHARE = 0.05


class Finding(NamedTuple):
    """A problem and what to do about it (``mend``); ``tone`` is ``bad`` or ``note``."""

    tone: str
    text: str
    mend: str


@bp.get("/status")
@access.views
def status() -> ResponseReturnValue:
    """Show the state of the service, the process, the machine and the store."""
    ways = _ways()
    report = system.status(ways)
    totals, backup_at = report["accounting"], report["last_verified_backup_at"]
    has_sentry = report["sentry"]["enabled"]
    return render_template(
        "status.html",
        header=lambda: header_of(ways) if ways else read_header(),
        report=report,
        totals=totals,
        time=datetime.fromisoformat(report["service"]["time"]),
        backup_at=datetime.fromisoformat(backup_at) if backup_at else None,
        terms=terms(totals, has_sentry=has_sentry) if totals else [],
        findings=list(findings(report)),
        refused=report["refused"],
        words=WORDS,
        losses=[ClientLoss(**loss) for loss in report["client_losses"]],
    )


def _ways() -> list[Upstream] | None:
    """Return the delivery of every project, ``None`` if the store does not answer."""
    with suppress(StoreError), current_store().read() as conn:
        return list_upstreams(conn, current_destinations(), utc_now())
    return None


def findings(report: dict[str, Any]) -> Iterator[Finding]:
    """Yield what a person should look at, the worst first.

    :param report: the result of :func:`app.web.system.status`.
    """
    yield from _of_store(report)
    yield from _of_vectors(report["vectors"])
    yield from _of_machine(report["machine"])
    yield from _of_counters(report["counters"])
    yield from _of_delivery(report["sentry"])


def _of_delivery(sentry: dict[str, Any]) -> Iterator[Finding]:
    for row in sentry["projects"]:
        if row["is_held_up"]:
            text = f"{row['name']}: {row['cause']}; {plural(row['waiting'], 'envelope')} held here."
            yield Finding("bad", text, _mend(row))
        if row["parked"]:
            text = f"{row['name']}: Sentry refused {plural(row['parked'], 'envelope')}."
            yield Finding("bad", text, "They are kept; see Deliveries for the reason of each.")
    if not sentry["enabled"] and len(sentry["projects"]) > 1:
        yield Finding(
            "note",
            "Errors stay here: no project is sent on to Sentry.",
            "Give each the DSN of a Sentry project on its page; this application's is SENTRY_DSN.",
        )
    elif not sentry["enabled"]:
        yield Finding(
            "note",
            "Errors stay here: Sentry is not set up.",
            "Set SENTRY_DSN to the DSN of a Sentry project and restart.",
        )


def _mend(row: dict[str, Any]) -> str:
    if row["state"] == "paused":
        return "Resume it on the page Deliveries."
    if row["id"] == OWN_PROJECT_ID:
        return "See that SENTRY_DSN is right and that Sentry runs; what waits is sent by itself."
    if row["state"] == "none":
        return "Give it the DSN of a Sentry project on its page."
    return (
        "See that the DSN on its page is right and that Sentry runs; what waits is sent by itself."
    )


def _of_store(report: dict[str, Any]) -> Iterator[Finding]:
    store = report["store"]
    if not store["ok"]:
        yield Finding(
            "bad",
            "The store does not answer.",
            "Look at DATABASE_URL, the disk, and the log; errors go to the emergency folder.",
        )
    if report["accounting"] and not report["accounting"]["balanced"]:
        yield Finding(
            "bad",
            "The accounting does not add up.",
            "An envelope is missing or counted twice; keep a copy of the store and report this.",
        )
    if store["set_aside"]:
        yield Finding(
            "bad",
            f"{plural(store['set_aside'], 'event')} in the emergency folder.",
            "They are recovered when the store answers, or at once by a restart.",
        )


def _of_vectors(vectors: dict[str, Any]) -> Iterator[Finding]:
    if vectors["problem"]:
        yield Finding(
            "note" if vectors["ok"] else "bad",
            f"The index of memories: {vectors['problem']}.",
            "Memories are kept meanwhile, and put there when it works; docs/troubleshooting.md "
            "has the mend.",
        )
    if vectors["embedder_problem"]:
        yield Finding(
            "bad",
            f"The embedder of memories: {vectors['embedder_problem']}.",
            "Memories are kept meanwhile, and embedded when it works.",
        )


def _of_machine(machine: dict[str, Any]) -> Iterator[Finding]:
    free, total = machine["disk_free_bytes"], machine["disk_total_bytes"]
    if free < max(LOW_DISK_BYTES, total * LOW_DISK_SHARE):
        yield Finding(
            "bad", f"The disk has only {size(free)} left.", "Free some, or move DATA_DIR elsewhere."
        )
    if machine["memory_available_bytes"] < machine["memory_total_bytes"] * LOW_MEMORY_SHARE:
        yield Finding(
            "bad", "The machine is nearly out of memory.", "Lower WEB_CONCURRENCY or add memory."
        )


def _of_counters(counters: dict[str, int]) -> Iterator[Finding]:
    for name, (noun, text, mend) in _LOSSES.items():
        if counters.get(name):
            yield Finding("bad", f"{plural(counters[name], noun)} {text}.", mend)


_LOSSES = {
    "emergency:stderr": (
        "event",
        "went to stderr, because neither the store nor the emergency folder took them",
        "Find them in the log by “devenviro: event on stderr”; check EMERGENCY_DIR.",
    ),
    "internal_errors": (
        "failure",
        "inside the tracker since the store was made",
        "The log says what happened (logger app.tracker).",
    ),
    "buffer_overflow": (
        "batch",
        "of traces, sessions or logs were dropped from the full buffer",
        "The store is too slow for the load; errors are not affected.",
    ),
}
