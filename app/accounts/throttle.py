"""How often a password may be tried: counted before it is checked, and never locking a person out.

    pair       a name from an address: 5 wrong tries, then a wait that doubles up to 15 minutes
    address    all names from one address: 30 wrong tries, then the same
    name       one name from all addresses: 1,000 wrong tries, then the same
    browser    a name from a browser that has logged in as it before: 20 wrong tries an hour

A browser that has logged in before is held against its own count and no other, so that no number
of strangers can keep its user out. An IPv6 address counts by its /64, which is what one subscriber
has. The table is bounded: rows of yesterday go, and of too many the oldest.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, tuple_, update

from app.accounts.tables import login_attempts
from app.store import Store, replaced, upsert, utc_now

MAX_LOCK = timedelta(minutes=15)
FIRST_LOCK = timedelta(seconds=15)
MAX_ROWS = 10_000
# How many go at once when there are too many, so that not every try has to look for the oldest.
SURPLUS_BATCH = 500
MAX_AGE = timedelta(days=1)
ANY = ""


@dataclass(frozen=True)
class Limit:
    """How many wrong tries are free, and how long one has to wait after that.

    :param first_lock: after the last free one; it doubles with every further one.
    :param forgotten_after: so long after the last one, counting begins anew.
    """

    free: int
    first_lock: timedelta
    max_lock: timedelta
    forgotten_after: timedelta

    def lock(self, failures: int) -> timedelta:
        """Return how long to wait after so many wrong tries; zero while they are free."""
        beyond = failures - self.free
        if beyond < 0:
            return timedelta()
        return min(self.max_lock, self.first_lock * (1 << min(beyond, 20)))


# Five tries are what a person needs. Of an address there may be an office behind one router.
PAIR = Limit(5, FIRST_LOCK, MAX_LOCK, 2 * MAX_LOCK)
ADDRESS = Limit(30, FIRST_LOCK, MAX_LOCK, 2 * MAX_LOCK)
# Against guesses from everywhere: it holds for strangers only.
NAME = Limit(1000, FIRST_LOCK, MAX_LOCK, 2 * MAX_LOCK)
HOUR = timedelta(hours=1)
BROWSER = Limit(20, HOUR, HOUR, HOUR)
FREE_FAILURES = PAIR.free


@dataclass(frozen=True)
class Attempt:
    """Who tries a password.

    :param name: the user name as it was typed; case makes no difference here.
    :param address: of the peer, as text.
    :param browser: the id of a browser that has logged in as this user before.
    """

    name: str
    address: str | None
    browser: str | None = None

    def limits(self) -> dict[tuple[str, str], Limit]:
        """Return the keys of the rows that count this, each with its limit."""
        name = _digest(f"name:{self.name.casefold()}")
        if self.browser is not None:
            return {(name, _digest(f"browser:{self.browser}")): BROWSER}
        address = _digest(f"address:{network_of(self.address)}")
        return {(name, address): PAIR, (ANY, address): ADDRESS, (name, ANY): NAME}


class LoginThrottle:
    """Counts who tries passwords, in one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def wait(self, attempt: Attempt) -> timedelta:
        """Return how long a try has to wait; zero when it may come now. Nothing is counted."""
        limits = attempt.limits()
        with self._store.read() as conn:
            return _longest_wait(_rows(conn, limits), limits, utc_now())

    def claim(self, attempt: Attempt) -> timedelta:
        """Count a try as a wrong one, before its password is looked at.

        Of many at once no more than the free ones get through, since each counts before the next.

        :return: zero when it may go on; otherwise how long to wait, and it was not counted.
        """
        now, limits = utc_now(), attempt.limits()
        # Not synced to the disk: a power cut forgives a few tries.
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
        """Take a claim back, since the password was right; the pair or browser begins anew."""
        pair, *shared = attempt.limits()
        with self._store.write(durable=False) as conn:
            conn.execute(delete(login_attempts).where(_is_any_of([pair])))
            if shared:
                left = {"failures": login_attempts.c.failures - 1, "locked_until": None}
                conn.execute(update(login_attempts).where(_is_any_of(shared)).values(left))

    def unlock(self, name: str) -> int:
        """Forget every wrong try for a name, and those of the addresses that tried it.

        :return: how many locks there were.
        """
        hashed, now = _digest(f"name:{name.casefold()}"), utc_now()
        of_name = login_attempts.c.name_hash == hashed
        sources = select(login_attempts.c.source_hash).where(of_name)
        of_source = login_attempts.c.source_hash.in_(sources)
        of_addresses = (login_attempts.c.name_hash == ANY) & of_source
        with self._store.write() as conn:
            locked = select(func.count()).where(or_(of_name, of_addresses))
            count = conn.scalar(locked.where(login_attempts.c.locked_until > now)) or 0
            # In this order, since the name's rows say which addresses there were.
            conn.execute(delete(login_attempts).where(of_addresses))
            conn.execute(delete(login_attempts).where(of_name))
        return count


def network_of(address: str | None) -> str:
    """Return what an address counts as: itself, or for IPv6 its /64."""
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
    # No lock is longer than this: the clock was set back, and must not hold anybody up.
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
    # What is of tomorrow was written before the clock was set back.
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
