"""The login throttle: how often a password may be tried. Strangers cannot lock a user out.

    pair       a name from an address: 5 wrong attempts, then a wait that doubles up to 15 minutes
    address    all names from one address: 30 wrong attempts, then the same wait
    name       one name from all addresses: 1,000 wrong attempts, then the same wait
    browser    a name from a browser that has logged in with it before: 20 wrong attempts an hour

An attempt is counted before its password is checked. For a browser that has logged in before, only
its own counter applies. So strangers cannot lock out its user. An IPv6 address counts as its /64,
which is the network of one subscriber. The size of the table is bounded: rows older than a day are
deleted, and above the maximum the oldest rows are deleted.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, or_, select, tuple_, update

from app.accounts.tables import login_attempts
from app.store import Store, replaced, upsert, utc_now

MAX_LOCK = timedelta(minutes=15)
FIRST_LOCK = timedelta(seconds=15)
MAX_ROWS = 10_000
# How many rows are deleted at once above the maximum, so that not every attempt has to search for
# the oldest rows.
SURPLUS_BATCH = 500
MAX_AGE = timedelta(days=1)
ANY = ""


@dataclass(frozen=True)
class Limit:
    """How many wrong attempts are free, and how long the wait is after them.

    :param free: from this number of wrong attempts on, there is a wait.
    :param first_lock: the first wait; it doubles with every further wrong attempt.
    :param max_lock: the longest wait.
    :param forgotten_after: after this time without an attempt, the counter starts again.
    """

    free: int
    first_lock: timedelta
    max_lock: timedelta
    forgotten_after: timedelta

    def lock(self, failures: int) -> timedelta:
        """Return the wait after this number of wrong attempts; zero while they are free."""
        beyond = failures - self.free
        if beyond < 0:
            return timedelta()
        return min(self.max_lock, self.first_lock * (1 << min(beyond, 20)))


# A person needs up to five attempts. An address may be the router of a whole office.
PAIR = Limit(5, FIRST_LOCK, MAX_LOCK, 2 * MAX_LOCK)
ADDRESS = Limit(30, FIRST_LOCK, MAX_LOCK, 2 * MAX_LOCK)
# This limit is against guesses from many addresses. It does not apply to known browsers.
NAME = Limit(1000, FIRST_LOCK, MAX_LOCK, 2 * MAX_LOCK)
HOUR = timedelta(hours=1)
BROWSER = Limit(20, HOUR, HOUR, HOUR)
FREE_FAILURES = PAIR.free


@dataclass(frozen=True)
class Attempt:
    """A login attempt.

    :param name: the user name as it was typed; the throttle ignores its case.
    :param address: the address of the peer, as text.
    :param browser: the id of a browser that has logged in as this user before.
    :param agent: what the browser calls itself, for the list of sessions.
    """

    name: str
    address: str | None
    browser: str | None = None
    agent: str | None = None

    def limits(self) -> dict[tuple[str, str], Limit]:
        """Return the keys of the rows that count this attempt, each with its limit."""
        name = _digest(f"name:{self.name.casefold()}")
        if self.browser is not None:
            return {(name, _digest(f"browser:{self.browser}")): BROWSER}
        address = _digest(f"address:{network_of(self.address)}")
        return {(name, address): PAIR, (ANY, address): ADDRESS, (name, ANY): NAME}


class LoginThrottle:
    """Counts login attempts in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def wait(self, attempt: Attempt) -> timedelta:
        """Return how long an attempt has to wait, zero if it may go on. Nothing is counted."""
        limits = attempt.limits()
        with self._store.read() as conn:
            return _longest_wait(_rows(conn, limits), limits, utc_now())

    def claim(self, attempt: Attempt) -> timedelta:
        """Count an attempt as wrong before its password is checked.

        Each attempt is counted before the next one is checked. So of many attempts at once, only
        the free ones go on.

        :return: zero if the attempt may go on; otherwise how long to wait, and nothing was counted.
        """
        now, limits = utc_now(), attempt.limits()
        # Not synced to the disk: after a power cut, a few attempts are not counted.
        with self._store.write(durable=False) as conn:
            rows = _rows(conn, limits)
            wait = _longest_wait(rows, limits, now)
            if wait > timedelta():
                return wait
            for key, limit in limits.items():
                _count(conn, key, limit, rows.get(key), now)
            _remove_old(conn, now)
        return timedelta()

    def succeeded(self, attempt: Attempt) -> None:
        """Undo :meth:`claim` after a right password; the pair or browser counter starts again."""
        pair, *shared = attempt.limits()
        with self._store.write(durable=False) as conn:
            conn.execute(delete(login_attempts).where(_is_any_of([pair])))
            if shared:
                left = {"failures": login_attempts.c.failures - 1, "locked_until": None}
                conn.execute(update(login_attempts).where(_is_any_of(shared)).values(left))

    def unlock(self, name: str) -> int:
        """Delete the counters of a name, and those of the addresses that tried it.

        :return: how many locks were removed.
        """
        hashed, now = _digest(f"name:{name.casefold()}"), utc_now()
        of_name = login_attempts.c.name_hash == hashed
        sources = select(login_attempts.c.source_hash).where(of_name)
        of_source = login_attempts.c.source_hash.in_(sources)
        of_addresses = (login_attempts.c.name_hash == ANY) & of_source
        with self._store.write() as conn:
            locked = select(func.count()).where(or_(of_name, of_addresses))
            count = conn.scalar(locked.where(login_attempts.c.locked_until > now)) or 0
            # In this order, because the rows of the name say which addresses tried it.
            conn.execute(delete(login_attempts).where(of_addresses))
            conn.execute(delete(login_attempts).where(of_name))
        return count


def rows_of(*, name: str | None = None, address: str | None = None) -> ColumnElement[bool]:
    """Return the SQL condition for the counters of a name, or of the network of an address."""
    if name is not None:
        return login_attempts.c.name_hash == _digest(f"name:{name.casefold()}")
    return login_attempts.c.source_hash == _digest(f"address:{network_of(address)}")


def network_of(address: str | None) -> str:
    """Return the network that counts for an address: the IPv4 address, or the /64 of IPv6."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _rows(conn: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row[Any]]:
    found = conn.execute(select(login_attempts).where(_is_any_of(keys)))
    return {(row.name_hash, row.source_hash): row for row in found}


def _is_any_of(keys: Iterable[tuple[str, str]]) -> Any:
    return tuple_(login_attempts.c.name_hash, login_attempts.c.source_hash).in_(list(keys))


def _longest_wait(
    rows: dict[tuple[str, str], Row[Any]], limits: dict[tuple[str, str], Limit], now: datetime
) -> timedelta:
    waits = [_wait(row, limits[key], now) for key, row in rows.items()]
    return max(waits, default=timedelta())


def _wait(row: Row[Any], limit: Limit, now: datetime) -> timedelta:
    wait: timedelta = (row.locked_until or now) - now
    # No lock is longer than max_lock. A longer wait means that the clock was set back. Such a lock
    # is ignored.
    return wait if timedelta() < wait <= limit.max_lock else timedelta()


def _count(
    conn: Connection, key: tuple[str, str], limit: Limit, row: Row[Any] | None, now: datetime
) -> None:
    is_fresh = row is None or abs(now - row.last_at) > limit.forgotten_after
    failures = 1 if is_fresh or row is None else row.failures + 1
    lock = limit.lock(failures)
    values = {
        "failures": failures,
        "last_at": now,
        "locked_until": now + lock if lock else None,
    }
    new = {"name_hash": key[0], "source_hash": key[1], **values}
    conn.execute(upsert(conn, login_attempts, new, **dict.fromkeys(values, replaced)))


def _remove_old(conn: Connection, now: datetime) -> None:
    last_at = login_attempts.c.last_at
    # A row with a future time was written before the clock was set back.
    conn.execute(
        delete(login_attempts).where(or_(last_at < now - MAX_AGE, last_at > now + MAX_AGE))
    )
    if (conn.scalar(select(func.count()).select_from(login_attempts)) or 0) <= MAX_ROWS:
        return
    oldest = select(login_attempts.c.name_hash, login_attempts.c.source_hash).order_by(last_at)
    keys = [(row.name_hash, row.source_hash) for row in conn.execute(oldest.limit(SURPLUS_BATCH))]
    conn.execute(delete(login_attempts).where(_is_any_of(keys)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
