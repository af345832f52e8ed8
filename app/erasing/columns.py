"""Every column of texts or bytes in the store: what has personal data, and why the others have not.

A test compares this list with the tables, so that no new column is forgotten.

    IN_TEXTS     columns whose texts came from a client or a person: the identifier is replaced
    ELSEWHERE    columns that a module of this package handles in its own way
    STAYS        names and settings of the people who run this service: found, reported, not changed
    NONE         columns that cannot hold personal data, each with its reason
"""

from __future__ import annotations

# The key of what was found in the report, by table; and the columns.
IN_TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "issues": (
        "issues",
        (
            *("title", "culprit", "type", "first_release", "last_release", "resolved_in"),
            "tracker_url",
        ),
    ),
    "groupings": ("groupings", ("key", "reason")),
    "transitions": ("comments", ("note", "release")),
    "notices": ("notifications", ("title", "text")),
    "notice_issues": (
        "notifications",
        ("title", "place", "environment", "release", "back", "cause"),
    ),
    "notice_sendings": ("notifications", ("reason",)),
    "notice_attempts": ("notifications", ("error",)),
    "held_issues": ("notifications", ("environment", "release")),
    "alert_rule_states": ("notifications", ("detail",)),
    "alert_channels": ("notifications", ("failure",)),
    "attempts": ("deliveries", ("error",)),
    "destinations": ("deliveries", ("cause",)),
    "delivery_actions": ("deliveries", ("filter",)),
    "user_sessions": ("logins", ("browser",)),
    "audit_log": ("audit", ("target", "detail")),
    "releases": ("figures", ("version",)),
    "project_environments": ("figures", ("name",)),
    "timing_series": ("figures", ("transaction", "release", "environment")),
    "session_series": ("figures", ("release", "environment")),
    "metric_series": ("figures", ("name", "type", "unit", "release", "environment")),
    "item_counts": ("figures", ("item_type",)),
    "outcome_months": ("figures", ("category", "outcome")),
    "loss_series": ("figures", ("sdk", "version", "reason", "category", "source")),
    "ai_series": ("figures", ("operation", "model", "release", "environment")),
    "transactions": ("figures", ("name", "op", "status", "release", "environment")),
    "monitors": ("figures", ("slug", "name", "config_error")),
    "monitor_states": ("figures", ("environment",)),
    "check_ins": ("figures", ("release",)),
    "ai_calls": (
        "figures",
        (
            *("operation", "model", "answered_by", "provider", "agent", "tool"),
            *("release", "environment"),
        ),
    ),
}

_ENVELOPES, _USERS, _MEMORIES = "envelopes.py", "users.py", "memories.py"
ELSEWHERE: dict[str, dict[str, str]] = {
    "envelopes": dict.fromkeys(
        (
            *("body", "item_types", "reason", "upstream_id", "via"),
            *("caller_address", "caller_user_agent"),
        ),
        _ENVELOPES,
    ),
    "events": dict.fromkeys(
        (
            *("platform", "logger", "title", "culprit", "transaction", "release", "environment"),
            *("client_timestamp", "scrubbed", "user_hash"),
        ),
        _ENVELOPES,
    ),
    "feedback": dict.fromkeys(("message", "name", "email", "url", "source"), "feedback.py"),
    "log_lines": dict.fromkeys(("body", "attributes", "release", "environment"), "logs.py"),
    "log_blocks": {"bits": "logs.py"},
    "issue_tags": dict.fromkeys(("key", "value"), "tags.py"),
    "issue_likeness": {"terms": "similarity.py"},
    "affected_users": {"user_hash": _USERS},
    "login_attempts": dict.fromkeys(("name_hash", "source_hash"), _USERS),
    "user_sessions": {"address": _USERS},
    "audit_log": {"address": _USERS},
    "memory_users": {"user_id": _MEMORIES},
    "memory_changes": {"before": _MEMORIES},
    "memories": dict.fromkeys(
        (
            *("user_id", "agent_id", "run_id", "digest"),
            *("content", "kind", "tags", "metadata", "vector", "words"),
        ),
        _MEMORIES,
    ),
    # Tables of full text, which SQLAlchemy does not know.
    "search_events": {"tokens": "search.py"},
    "search_event_tokens": {"tokens": "search.py"},
    "search_issues": {"tokens": "search.py"},
}

STAYS: dict[str, tuple[str, ...]] = {
    "users": ("username",),
    "user_sessions": ("username",),
    "audit_log": ("actor",),
    "api_tokens": ("name", "created_by", "memory_users"),
    "projects": ("name", "source_url"),
    "project_keys": ("label",),
    "alert_channels": ("name", "address", "template", "created_by"),
    "alert_rules": ("name", "filters", "created_by"),
    "grouping_rules": ("name", "text", "created_by"),
    "delivery_actions": ("actor",),
    "issues": ("assigned_to", "ignored_by"),
    "transitions": ("actor",),
    "memory_changes": ("actor",),
    "events": ("ignored_by",),
    "releases": ("announced_by",),
    "monitors": ("created_by",),
    "notice_sendings": ("channel_name",),
    "erasures": ("actor",),
}

_OURS = "a word of ours"
_ID = "an id of hexadecimal digits"
_SECRET = "a secret of this service, or its hash"  # noqa: S105 -- no secret
_INCIDENT = "a name made of numbers of ours"
_OWNER = "the name of a process of ours"
NONE: dict[str, dict[str, str]] = {
    "users": {
        "password_hash": _SECRET,
        "session_key": _SECRET,
        "role": _OURS,
        "time_zone": "a name of a list",
        "theme": _OURS,
    },
    "user_sessions": {"token_hash": _SECRET},
    "audit_log": {"action": _OURS},
    "api_tokens": {
        "prefix": _SECRET,
        "token_hash": _SECRET,
        "scopes": _OURS,
        "project_ids": "numbers of projects",
    },
    "project_keys": {"public_key": _ID},
    "alert_channels": {"kind": _OURS, "secret": _SECRET},
    "alert_rules": {
        "kind": _OURS,
        "preset": _OURS,
        "channel_ids": "numbers of channels",
    },
    "alert_rule_states": {"state": _OURS},
    "held_issues": {"event_id": _ID},
    "notices": {"uid": _ID, "kind": _OURS, "event_id": _ID, "incident": _INCIDENT},
    "notice_issues": {"event_id": _ID},
    "open_incidents": {"incident": _INCIDENT},
    "notice_sendings": {"channel_kind": _OURS, "state": _OURS, "taken_by": _OWNER},
    "notice_attempts": {"state": _OURS},
    "destinations": {
        "dsn": "the DSN of a destination, without names of people",
        "dsn_hash": _SECRET,
        "limits": "categories and times",
        "api_token": _SECRET,
        "api_url": "the address of an API, without names of people",
        "api_org": "the name of an organization",
    },
    "confirmations": {
        "event_id": _ID,
        "kind": _OURS,
        "state": _OURS,
        "reason": "a sentence of ours",
        "group_id": "a number of Sentry's",
    },
    "confirmation_sources": {"dsn_hash": _SECRET, "cause": "a sentence of ours"},
    "confirmation_apis": {
        "key": "a hash of an address",
        "cause": "a sentence of ours",
    },
    "attempts": {"state": _OURS, "worker": _OWNER},
    "client_reports": {"reason": _OURS, "category": _OURS},
    "delivery_actions": {"kind": _OURS},
    "counters": {"name": _OURS},
    "envelopes": {"uid": _ID, "event_id": _ID, "state": _OURS},
    "events": {"event_id": _ID, "level": _OURS, "timestamp_corrected": _OURS},
    "feedback": {"event_id": _ID, "associated_event_id": _ID, "state": _OURS},
    "log_lines": {
        "level": _OURS,
        "trace_id": _ID,
        "span_id": _ID,
        "cut": "numbers and words of ours",
    },
    "log_series": {"level": _OURS},
    "issues": {"level": _OURS, "status": _OURS, "ignore_until": "numbers and times"},
    "groupings": {
        "version": _OURS,
        "hash": "the hash of a grouping key: without it, a repeated error would be a new issue",
    },
    "grouping_rules": {"kind": _OURS},
    "transitions": {"kind": _OURS, "event_id": _ID},
    "ai_calls": {"envelope_uid": _ID, "kind": _OURS, "trace_id": _ID, "span_id": _ID},
    "ai_series": {"kind": _OURS},
    "memories": {
        "id": "a random-looking id; that of a person's memory is removed with it",
        "model": "the name of an embedder",
        "indexed_in": "the name of an index",
    },
    "memory_changes": {"memory_id": "the id of a memory"},
    "memory_removals": {
        "id": "the id of a removed memory, until the index has removed it",
        "index_name": "the name of an index",
    },
    "monitors": {
        "schedule_type": _OURS,
        "schedule_value": "a crontab that was checked, or a number",
        "schedule_unit": _OURS,
        "timezone": "a name of a list",
        "managed_by": _OURS,
    },
    "monitor_states": {"status": _OURS},
    "monitor_changes": {"status": _OURS},
    "check_ins": {"check_in_id": _ID, "status": _OURS, "trace_id": _ID},
    "runs_without_row": {"check_in_id": _ID, "status": _OURS},
    "monitor_losses": {"reason": _OURS},
    "monitor_watch": {"name": _OURS},
    "search_state": {"name": _OURS},
    "signal_state": {"name": _OURS},
    "transactions": {"event_id": _ID, "trace_id": _ID, "span_id": _ID},
    "trace_envelopes": {"trace_id": _ID},
    "facts": {"name": _OURS, "value": "facts about this store"},
    "leases": {"name": _OURS, "owner": _OWNER},
    "erasures": {
        "kind": _OURS,
        "identifier_hash": "a keyed hash, which proves what was erased",
        "state": _OURS,
        "owner": _OWNER,
        "report": "counts and words of ours",
    },
}
