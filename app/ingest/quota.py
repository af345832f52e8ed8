"""The answer to a project over its quota: 429, with how long which data categories must wait."""

from __future__ import annotations

import re
from datetime import datetime

from app.ingest.answers import Refusal
from app.intake.prepared import Accepted
from app.projects.quotas import UNLIMITED_ITEMS, is_limited
from app.protocol.caller import Caller
from app.protocol.envelope import Envelope
from app.protocol.rate_limits import categories_of
from app.store import utc_now
from app.web.current import current_intake, current_keys, current_quotas

# Categories are written into a header, and an item type may be any text.
_CATEGORY = re.compile(r"[a-z0-9_]{1,40}")


def check(envelope: Envelope, project_id: int, caller: Caller) -> int | None:
    """Return the quota that an envelope counts against, ``None`` if it has none.

    :raise Refusal: 429 this process knows that the quota is used up.
    """
    limit = current_keys().quota_of(project_id)
    if limit is None or not is_limited(envelope.item_types):
        return None
    until = current_quotas().shut_until(project_id, limit, utc_now())
    if until is not None:
        current_intake().count_refusal("quota", project_id, envelope, caller)
        raise over_quota(envelope, until)
    return limit


def check_accepted(
    envelope: Envelope, project_id: int, limit: int | None, accepted: Accepted
) -> None:
    """Check that the transaction did not find an envelope beyond its quota.

    :param limit: the result of :func:`check`.
    :raise Refusal: 429 it was beyond the quota, and was not stored.
    """
    if limit is not None and accepted.refused_until is not None:
        current_quotas().shut(project_id, limit, accepted.refused_until)
        raise over_quota(envelope, accepted.refused_until)


def over_quota(envelope: Envelope, until: datetime) -> Refusal:
    """Return the refusal of an envelope, with the categories of its items.

    :param until: when the quota opens again.

    Source: https://develop.sentry.dev/sdk/expected-features/rate-limiting/, 2026-11-24.
    """
    wait_s = (until - utc_now()).total_seconds()
    categories = ";".join(_categories(envelope)) or "default"
    return Refusal(
        429,
        "the project is over its quota",
        retry_after_s=wait_s,
        limited=f"{categories}:project:quota",
    )


def _categories(envelope: Envelope) -> list[str]:
    kinds = [kind for kind in envelope.item_types if kind not in UNLIMITED_ITEMS]
    named = [name for kind in kinds for name in categories_of(kind) if _CATEGORY.fullmatch(name)]
    return list(dict.fromkeys(named))
