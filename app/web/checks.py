"""The health of each part of the service: the checks that `/health` and `flask verify` share.

A check examines one part and returns a :class:`Verdict`. `/health` shows only the results.
`flask verify` also shows the details and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import Connection

from app.alerts.notifications import is_stuck
from app.delivery.accounting import accounting
from app.delivery.destinations import Destinations
from app.delivery.ledger import oldest_waiting
from app.delivery.upstreams import held_up
from app.intake import Intake
from app.store import Store, StoreBusy, StoreError, utc_now
from app.store.disks import fullest
from config import Config

# An envelope that waits longer than this is not caused by a short failure of Sentry.
LATE = timedelta(minutes=15)
# How long a check waits for other writers, in seconds: in a probe, and in a command of a person.
PROBE_S, COMMAND_S = 0.5, 5.0


class Result(StrEnum):
    """The result of a check, best first. A skipped check is neither good nor bad."""

    SKIP = "skip"
    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


SEVERITY = tuple(Result)


@dataclass(frozen=True)
class Verdict:
    """The result of a check with its details.

    :param detail: one sentence or less.
    :param mend: what to do about it, one line for each action.
    :param blocks: whether checks that depend on this one are skipped.
    """

    result: Result
    detail: str = ""
    mend: str = ""
    blocks: bool = False


def passed(detail: str = "") -> Verdict:
    """Return a verdict with the result ``pass``."""
    return Verdict(Result.PASS, detail)


def warned(detail: str, mend: str) -> Verdict:
    """Return a verdict with the result ``warn``."""
    return Verdict(Result.WARN, detail, mend)


def failed(detail: str, mend: str) -> Verdict:
    """Return a verdict with the result ``fail``. Checks that depend on this one are skipped."""
    return Verdict(Result.FAIL, detail, mend, blocks=True)


def combined(*verdicts: Verdict) -> Verdict:
    """Return one verdict with the worst result and every detail."""
    return Verdict(
        max((verdict.result for verdict in verdicts), key=SEVERITY.index),
        "; ".join(dict.fromkeys(verdict.detail for verdict in verdicts if verdict.detail)),
        "\n".join(dict.fromkeys(verdict.mend for verdict in verdicts if verdict.mend)),
        any(verdict.blocks for verdict in verdicts),
    )


# ---- the checks ---------------------------------------------------------------------------------


def store(store: Store, intake: Intake, *, probes: bool = False) -> Verdict:
    """Fail if the store cannot be read or written, or if it is full and accepts nothing.

    :param probes: write to the store even if the last write of this process succeeded.
    """
    try:
        store.check()
        if probes or store.write_failed:
            store.probe(COMMAND_S if probes else PROBE_S)
    except StoreError as error:
        return failed(str(error), _store_mend(store, error))
    if intake.bound.state().is_full():
        return failed(
            "the store is full, and everything in it is still to be delivered",
            "raise MAX_STORE_BYTES, or see why nothing is delivered",
        )
    if damaged := store.damaged_files():
        return warned(
            f"a damaged store was moved to {damaged[0]}", "see “The store was damaged” in the docs"
        )
    return passed()


def _store_mend(store: Store, error: StoreError) -> str:
    if isinstance(error, StoreBusy):
        return "end whatever writes for seconds without a commit; look for a process that hangs"
    if "schema" in str(error):
        return "run `flask db upgrade`"
    if store.is_sqlite:
        return f"see that {store.url.database} can be made and written, and has room"
    return "see that PostgreSQL runs, and that host, user and password in DATABASE_URL are right"


def emergency(intake: Intake) -> Verdict:
    """Warn if events are in the emergency folder."""
    if count := intake.emergency.count():
        return warned(
            f"{count} set aside in {intake.emergency.path}, not in the store yet",
            "they are recovered at the next start; if they stay, look into the log for the reason",
        )
    return passed()


def disk(config: Config) -> Verdict:
    """Warn if a disk that the service writes to is nearly full."""
    found = fullest((config.DATA_DIR, config.emergency_dir))
    if found.is_low:
        return warned(
            f"only {found.free_bytes / 1e6:.0f} MB are free at {found.folder}",
            "make room: what is not delivered yet is never deleted, a full disk refuses events",
        )
    return passed()


def totals(store: Store) -> Verdict:
    """Warn if the counters of envelopes and their rows do not agree."""
    return _read(store, lambda conn: bool(accounting(conn)["balanced"]), UNBALANCED)


def delivery(store: Store, destinations: Destinations) -> Verdict:
    """Warn if envelopes are not forwarded as they should be. It never fails: they are safe here."""
    return _read(store, lambda conn: _is_sent_on(conn, destinations), UNDELIVERED)


def _is_sent_on(conn: Connection, destinations: Destinations) -> bool:
    now = utc_now()
    oldest = oldest_waiting(conn)
    is_late = oldest is not None and now - oldest > LATE
    return not is_late and not held_up(conn, destinations.list(conn), now)


def alerts(store: Store) -> Verdict:
    """Warn if notifications are not sent, or if some were given up within the last day."""
    return _read(store, lambda conn: not is_stuck(conn, utc_now()), UNNOTIFIED)


UNBALANCED = warned(
    "the envelopes do not add up: one is missing or counted twice",
    "keep a copy of the store and report this",
)
UNDELIVERED = warned("envelopes wait to be sent to Sentry", "see the page Deliveries")
UNNOTIFIED = warned("notifications wait, or were given up", "see the page Alerts")
UNKNOWN = warned("not known while the store does not answer", "see the check “store”")


def _read(store: Store, is_well: Callable[[Connection], bool], otherwise: Verdict) -> Verdict:
    try:
        with store.read() as conn:
            return passed() if is_well(conn) else otherwise
    except StoreError:
        return UNKNOWN
