"""Checks of the setup: the settings, the folders and the store."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from app.cli.verify.checks import Run
from app.protocol.addresses import check_upstream
from app.protocol.dsn import Dsn
from app.store import StoreError
from app.store.size import size_bytes
from app.web import checks
from app.web.checks import Result, Verdict, combined, failed, passed, warned
from config import ROOT, VERSION, Config


def configuration(run: Run) -> Verdict:
    """Check the settings and their folders; invalid settings have already stopped the start."""
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
        # New files would belong to the current user, and the service could not use them.
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
        return  # The check "store" reports this error; API_TOKEN works without the store.
    if not has_tokens:
        yield warned(
            "no API token is configured, the API is closed",
            "set API_TOKEN, or run `flask token create NAME`",
        )


# ---- store --------------------------------------------------------------------------------------


def store(run: Run) -> Verdict:
    """Read and write the store; check the free space and the emergency folder."""
    found = checks.store(run.store, run.intake, probes=True)
    if found.result == Result.FAIL:
        return failed(run.clean(found.detail), found.mend)
    return combined(
        _summary(run),
        found,
        checks.disk(run.config),
        checks.emergency(run.intake),
        checks.totals(run.store),
        *_upstreams(run),
    )


def _summary(run: Run) -> Verdict:
    kind, megabytes = run.store.url.get_backend_name(), size_bytes(run.store) / 1e6
    return passed(f"{kind}, schema {run.store.schema_revision()}, {megabytes:.1f} MB")


def _upstreams(run: Run) -> Iterator[Verdict]:
    """Yield a warning for each project whose DSN would be refused today.

    Envelopes are still sent to a DSN that was set before the address check existed.
    """
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
