"""The status of the service, the process, the machine and the store, for the page and the API."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import threading
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from sqlalchemy import Connection, func, select

from app.delivery import accounting
from app.delivery.upstreams import Upstream, list_upstreams
from app.events.tables import events
from app.insights.losses import lost_lately
from app.intake.refusals import refused_of
from app.intake.store_bound import measure
from app.issues.tables import STATUSES, issues
from app.stats.item_counts import items_by_type
from app.stats.observations import PREFIX
from app.store import StoreError, utc_now
from app.store.migrations import REVISION
from app.store.size import size_bytes
from app.web.current import (
    current_config,
    current_destinations,
    current_intake,
    current_release,
    current_started_at,
    current_store,
    registered,
)
from app.web.last_backup import BACKUP_AT, last_backup
from config import VERSION, Config

CGROUP = Path("/sys/fs/cgroup")
PACKAGES = (
    "flask",
    "werkzeug",
    "sentry-sdk",
    "gunicorn",
    "sqlalchemy",
    "alembic",
    "psycopg",
    "qdrant-client",
)

_process = psutil.Process()
_process.cpu_percent(None)  # The first reading is always 0. The next one counts from here.


def status(ways: list[Upstream] | None = None) -> dict[str, Any]:
    """Return the whole report. If the store does not answer, the parts that need it are empty.

    :param ways: the delivery of every project, if it was read before.
    """
    report: dict[str, Any] = {
        "service": service(),
        "process": process(),
        "machine": machine(current_config().DATA_DIR),
        "cgroup": cgroup(),
        "sentry": sentry(current_config(), current_release()),
        "versions": versions(),
        "store": {"kind": current_store().url.get_backend_name(), "ok": False},
        **{name: section() for name, section in registered("status").items()},
        "accounting": None,
        "last_verified_backup_at": None,
        "counters": {},
        "items": {},
        "client_losses": [],
        "refused": [],
    }
    try:
        with current_store().read() as conn:
            report |= stored(conn)
            ways = list_upstreams(conn, current_destinations(), utc_now()) if not ways else ways
            report["sentry"] |= destinations(ways)
        report["store"] |= {
            "ok": True,
            "size_bytes": size_bytes(current_store()),
            **report.pop("rows"),
            **room(),
        }
    except StoreError as error:
        report["store"]["error"] = type(error).__name__
    report["store"]["set_aside"] = current_intake().emergency.count()
    return report


def stored(conn: Connection) -> dict[str, Any]:
    """Return the accounting, the counters and the number of rows."""
    counted = accounting.read_counters(conn)
    backup_at = last_backup(counted)
    there = select(func.count()).where(issues.c.status.in_(STATUSES)).scalar_subquery()
    rows = select(func.count().label("events"), there.label("issues"), REVISION.label("schema"))
    return {
        "accounting": accounting.accounting(conn, counted),
        "last_verified_backup_at": backup_at.isoformat() if backup_at else None,
        "counters": {
            name: value
            for name, value in counted.items()
            # Counters of requests: /metrics combines them.
            if not name.startswith((PREFIX, BACKUP_AT))
        },
        "items": items_by_type(conn),
        "client_losses": [loss._asdict() for loss in lost_lately(conn, utc_now())],
        "refused": [
            {**asdict(row), "status": row.status, "words": row.words} for row in refused_of(counted)
        ],
        "rows": dict(conn.execute(rows.select_from(events)).mappings().one()),
    }


def destinations(found: list[Upstream]) -> dict[str, Any]:
    """Return whether any project is forwarded to Sentry, and the status of each project."""
    return {
        "enabled": any(row.is_set_up for row in found),
        "projects": [
            {
                "id": row.project_id,
                "name": row.name,
                "state": row.state,
                "host": row.destination.host,
                "cause": row.cause if row.is_set_up or row.is_held_up else "",
                "is_held_up": row.is_held_up,
                **row.held._asdict(),
            }
            for row in found
        ],
    }


def room() -> dict[str, Any]:
    """Return how full the store is, and how much each project uses, in bytes."""
    bound = current_intake().bound
    state = bound.state()
    measured = state if bound.limit else measure(current_store(), 0)
    return {
        "used_bytes": measured.used,
        "max_bytes": current_config().MAX_STORE_BYTES,
        "share_bytes": int(state.share()),
        "projects": [
            {"id": key, "bytes": row.bytes, "attachment_bytes": row.attachment_bytes}
            for key, row in sorted(measured.projects.items())
        ],
    }


def service() -> dict[str, Any]:
    """Return the version, the release and the uptime of the service."""
    now = utc_now()
    return {
        "version": VERSION,
        "release": current_release(),
        "environment": current_config().ENVIRONMENT,
        "started_at": current_started_at().isoformat(),
        "uptime_s": round((now - current_started_at()).total_seconds(), 1),
        "time": now.isoformat(),
        "workers": current_config().WEB_CONCURRENCY,
    }


def process() -> dict[str, Any]:
    """Return figures of this process: memory, threads, open files and CPU."""
    with _process.oneshot():
        return {
            "pid": os.getpid(),
            "rss_bytes": _process.memory_info().rss,
            "threads": threading.active_count(),
            "open_files": _process.num_fds(),
            "cpu_percent": _process.cpu_percent(None),
        }


def machine(folder: Path) -> dict[str, Any]:
    """Return figures of the host. In a container, they are not the container's."""
    memory = psutil.virtual_memory()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    disk = shutil.disk_usage(existing)
    return {
        "cpus": psutil.cpu_count(),
        "load": [round(load, 2) for load in psutil.getloadavg()],
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "disk_total_bytes": disk.total,
        "disk_free_bytes": disk.free,
    }


def cgroup(root: Path = CGROUP) -> dict[str, Any] | None:
    """Return the limits of the container, ``None`` if they cannot be read.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, 2026-11-23.
    """
    quota, _, period = _read(root / "cpu.max").partition(" ")
    limits = {
        "memory_limit_bytes": _number(_read(root / "memory.max")),
        "memory_used_bytes": _number(_read(root / "memory.current")),
        "cpus": int(quota) / int(period) if quota.isdigit() and period.isdigit() else None,
    }
    return limits if any(value is not None for value in limits.values()) else None


def sentry(config: Config, release: str) -> dict[str, Any]:
    """Return the Sentry settings. Of the DSN, only the host and the project, never the key."""
    dsn = urlsplit(config.SENTRY_DSN or "")
    return {
        # This is for this application only. The store adds the other projects.
        "enabled": config.SENTRY_DSN is not None,
        "projects": [],
        "host": dsn.hostname,
        "project": dsn.path.rpartition("/")[2] or None,
        "environment": config.ENVIRONMENT,
        "release": release,
        "sample_rate": config.SENTRY_SAMPLE_RATE,
        "traces_sample_rate": config.SENTRY_TRACES_SAMPLE_RATE,
        "profiles_sample_rate": config.SENTRY_PROFILES_SAMPLE_RATE,
        "send_pii": config.SENTRY_SEND_PII,
        "debug": config.SENTRY_DEBUG,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of important packages."""
    found = {"python": platform.python_version(), "platform": sys.platform}
    return found | {name: metadata.version(name) for name in PACKAGES}


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
