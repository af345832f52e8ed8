"""What the service stands on: its settings, its folders, its store."""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from app.cli.verify.checks import Run, Verdict, combined, failed, passed, warned
from app.delivery import accounting
from app.protocol.addresses import check_upstream
from app.protocol.dsn import Dsn
from app.store import StoreBusy, StoreError
from config import ROOT, VERSION, Config

# An event takes 2 to 20 kB, so that this is some hours of a storm of errors, time to react.
LOW_DISK_BYTES = 1024**3


def configuration(run: Run) -> Verdict:
    """Look at what is set; whatever is plainly wrong has stopped the start already."""
    config, release = run.config, run.release
    summary = passed(f"{config.ENVIRONMENT}, release {release}, data in {config.DATA_DIR}")
    found = [
        *_secrets_file(ROOT / ".env"),
        *_folder(config.DATA_DIR),
        *_folder_exists_or_can(config.emergency_dir),
    ]
    if config.needs_secrets:
        found += [*_public(config), *_release(release), *_token(run)]
    return combined(summary, *found)


def _secrets_file(path: Path) -> Iterator[Verdict]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & 0o077:
        yield warned(f".env can be read by other users ({mode:04o})", f"chmod 600 {path}")


def _folder(folder: Path) -> Iterator[Verdict]:
    if not folder.is_dir():
        yield from _folder_exists_or_can(folder)
        return
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        yield warned(f"DATA_DIR is open to other users ({mode})", f"chmod 700 {folder}")
    if found.st_uid != os.geteuid():
        # What is made here now would belong to this user, and the service could not use it.
        yield warned(
            f"DATA_DIR belongs to user {found.st_uid}, this runs as {os.geteuid()}",
            "run `flask verify` as the user that the service runs as",
        )


def _folder_exists_or_can(folder: Path) -> Iterator[Verdict]:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        yield failed(f"{existing} is no folder", f"remove it, or set another folder than {folder}")
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield failed(
            f"{existing} cannot be written",
            f"give it to the user that the service runs as, or set another folder than {folder}",
        )


def _public(config: Config) -> Iterator[Verdict]:
    if config.PUBLIC_URL is None:
        yield warned(
            f"PUBLIC_URL is not set, links lead to {config.public_url}",
            "set PUBLIC_URL to the address that people use, such as https://errors.example.org",
        )
    elif not config.PUBLIC_URL.startswith("https:"):
        yield warned(
            "PUBLIC_URL is not https: passwords and sessions travel unencrypted",
            "put a proxy with TLS in front, and set PUBLIC_URL to its https:// address",
        )


def _release(release: str) -> Iterator[Verdict]:
    if release == f"devenviro@{VERSION}":
        yield warned(
            "the release is not known: there is neither a git commit nor SENTRY_RELEASE",
            "set SENTRY_RELEASE, so that an error can be told to come from a deployment",
        )


def _token(run: Run) -> Iterator[Verdict]:
    try:
        has_tokens = run.accounts.has_tokens()
    except StoreError:
        return  # The next check says so; API_TOKEN is answered without the store.
    if not has_tokens:
        yield warned(
            "no API token is configured, the API is closed",
            "set API_TOKEN, or run `flask token create NAME`",
        )


# ---- store --------------------------------------------------------------------------------------


def store(run: Run) -> Verdict:
    """Ask, write and roll back; look at the room that is left, and at what waits beside it."""
    try:
        run.store.check()
        with run.store.write() as conn:
            accounting.add(conn, Counter(verify=1))
            conn.rollback()
        summary = _summary(run)
    except StoreError as error:
        return failed(run.clean(str(error)), _store_mend(run, error))
    return combined(summary, *_room(run), *_set_aside(run), *_upstreams(run))


def _summary(run: Run) -> Verdict:
    kind, megabytes = run.store.url.get_backend_name(), run.store.size_bytes() / 1e6
    return passed(f"{kind}, schema {run.store.schema_revision()}, {megabytes:.1f} MB")


def _store_mend(run: Run, error: StoreError) -> str:
    if isinstance(error, StoreBusy):
        return "end whatever writes for seconds without a commit; look for a process that hangs"
    if "schema" in str(error):
        return "run `flask db upgrade`"
    if run.store.is_sqlite:
        return f"see that {run.store.url.database} can be made and written, and has room"
    return "see that PostgreSQL runs, and that host, user and password in DATABASE_URL are right"


def _room(run: Run) -> Iterator[Verdict]:
    url = run.store.url
    folder = Path(str(url.database)).parent if run.store.is_sqlite else None
    for path in {folder or run.config.DATA_DIR, run.config.emergency_dir}:
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        if free < LOW_DISK_BYTES:
            yield warned(
                f"only {free / 1e6:.0f} MB are free at {existing}",
                "make room: what is not delivered yet is never deleted, a full disk refuses events",
            )
            return


def _set_aside(run: Run) -> Iterator[Verdict]:
    count = run.intake.emergency.count()
    if count:
        yield warned(
            f"{count} set aside in {run.intake.emergency.path}, not in the store yet",
            "they are taken in at the next start; if they stay, look into the log for the reason",
        )


def _upstreams(run: Run) -> Iterator[Verdict]:
    """Name the projects whose DSN would be refused today; those of before the check go on."""
    with run.store.read() as conn:
        found = [
            destination
            for destination in run.destinations.list(conn)
            if destination.project_id != 1
        ]
    for destination in found:
        try:
            if destination.dsn and not destination.checked:
                allow_private = run.config.UPSTREAM_ALLOW_PRIVATE
                check_upstream(Dsn.of(destination.dsn), allow_private=allow_private)
        except ValueError as error:
            yield warned(
                f"the DSN of project {destination.project_id} would be refused today: {error}",
                "it goes on; set another one by `flask project upstream` if it is not meant",
            )
