"""Metrics for Prometheus; every process renders them from the store.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/, format 0.0.4, 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from flask import Response
from sqlalchemy import Connection

from app.alerts import queries
from app.api.routes import Routes
from app.confirmation import reading as confirmations
from app.confirmation.asking import COUNTED
from app.confirmation.tables import State
from app.delivery import accounting, ledger
from app.delivery.ledger import Overview
from app.events.states import WAITING
from app.memory import status as memory_status
from app.stats import observations
from app.store import utc_now
from app.store.size import size_bytes
from app.web import access
from app.web.current import (
    current_config,
    current_destinations,
    current_intake,
    current_release,
    current_store,
)
from app.web.last_backup import BACKUP_AT
from config import VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "devenviro_"

# Counters that form one metric: its name, its kind, its label, the prefix of the counters' names,
# its help text.
_BY_PREFIX = (
    # A gauge: a counter of Prometheus must not decrease, but a replay of a discarded envelope
    # decreases this number.
    ("discarded_total", "gauge", "reason", "discarded:", "Envelopes not sent on purpose."),
    (
        "confirmations_total",
        "counter",
        "state",
        COUNTED,
        "Events asked back from Sentry, by what was found; a missing one may be found later.",
    ),
    ("pruned_total", "counter", "state", "pruned:", "Envelopes that retention removed."),
    ("attempts_total", "counter", "state", "attempts:", "Attempts, by what came of the envelope."),
    (
        "notice_attempts_total",
        "counter",
        "state",
        "notice_attempts:",
        "Attempts to send a notice, by what came of it.",
    ),
)
# Counters of envelopes that a project's quota or a full store refused. The name goes on with
# reason and project.
_REFUSED = "refused:"
# Every other counter is exported as `devenviro_counter_total`.
_OWN = (
    "accepted",
    "state:",
    _REFUSED,
    BACKUP_AT,
    observations.PREFIX,
    *(prefix for _, _, _, prefix, _ in _BY_PREFIX),
)


route = Routes("system")


@dataclass
class Metric:
    """A metric with its samples.

    :param kind: counter, gauge or histogram.
    :param samples: suffix of the name, labels, value.
    """

    name: str
    kind: str
    help: str
    samples: list[tuple[str, Mapping[str, object], float]] = field(default_factory=list)

    def add(self, value: float, suffix: str = "", /, **labels: object) -> Metric:
        """Add a sample, and return the metric.

        :param suffix: of the name; only samples of a histogram have one.
        """
        self.samples.append((suffix, labels, value))
        return self

    def text(self) -> str:
        """Return the metric in the text format of Prometheus."""
        name = PREFIX + self.name
        lines = [f"# HELP {name} {self.help}", f"# TYPE {name} {self.kind}"]
        lines += [
            f"{name}{suffix}{_labels(labels)} {value}" for suffix, labels, value in self.samples
        ]
        return "\n".join(lines) + "\n"


@route("GET /metrics", access.shows, media="text/plain")
def metrics() -> Response:
    """Return the metrics of this service for Prometheus.

    :raise 503: the store does not answer.
    """
    now = utc_now()
    with current_store().read() as conn:
        overview = ledger.overview(conn, current_destinations(), now)
        counters = accounting.read_counters(conn)
        found = [
            *_of_accounting(conn, counters),
            *_of_delivery(overview, now),
            *_of_ages(conn, now),
            *_of_confirmations(conn, overview, now),
        ]
        found += [*_of_requests(counters), _of_notifications(conn), _of_refusals(counters)]
    found += [*_of_memories(), *_of_service()]
    return Response("".join(metric.text() for metric in found), content_type=CONTENT_TYPE)


def _of_accounting(conn: Connection, counters: Mapping[str, int]) -> Iterator[Metric]:
    accounts = accounting.accounting(conn)
    yield _one("accepted_total", "counter", "Envelopes accepted.", accounts["accepted"])
    states = Metric("envelopes", "gauge", "Envelopes by state, removed ones included.")
    for state in accounting.STATES:
        states.add(accounts[state], state=state)
    yield states.add(sum(accounts["discarded"].values()), state="discarded")
    for name, kind, label, prefix, text in _BY_PREFIX:
        metric = Metric(name, kind, text)
        for counter, value in sorted(counters.items()):
            if counter.startswith(prefix):
                metric.add(value, **{label: counter.removeprefix(prefix)})
        yield metric
    others = Metric("counter_total", "counter", "Other counts since the store was made.")
    for counter, value in sorted(counters.items()):
        if not counter.startswith(_OWN):
            others.add(value, name=counter)
    yield others
    backup_at = counters.get(BACKUP_AT, 0)
    yield _one(
        "last_backup_timestamp_seconds", "gauge", "Of the last verified backup; 0: none.", backup_at
    )
    balanced = int(accounts["balanced"])
    yield _one("books_balanced", "gauge", "1 if every envelope is accounted for.", balanced)


def _of_delivery(found: Overview, now: datetime) -> Iterator[Metric]:
    oldest = (now - found.oldest_at).total_seconds() if found.oldest_at else 0.0
    yield _one(
        "outbox_oldest_age_seconds", "gauge", "Age of the oldest waiting envelope.", max(oldest, 0)
    )
    up = Metric("destination_up", "gauge", "1 if it takes envelopes: neither open nor paused.")
    is_open = Metric("circuit_open", "gauge", "1 while only probes are sent.")
    paused = Metric("destination_paused", "gauge", "1 while a person has it paused.")
    limited = Metric("destination_limited_seconds", "gauge", "Until a rate limit ends.")
    for destination in found.destinations:
        state, project = destination.state(now), destination.project_id
        up.add(int(state in ("closed", "limited")), project=project)
        is_open.add(int(destination.open_since is not None), project=project)
        paused.add(int(destination.paused_at is not None), project=project)
        for category, until in destination.limits.items():
            seconds = max((until - now).total_seconds(), 0.0)
            limited.add(seconds, project=project, category=category or "all")
    yield from (up, is_open, paused, limited)
    yield from _of_held(found)
    owed = Metric("client_reports_owed", "gauge", "Items Losses still to be reported to Sentry.")
    for row in found.owed:
        owed.add(row.quantity, project=row.project_id, reason=row.reason, category=row.category)
    yield owed


def _of_held(found: Overview) -> Iterator[Metric]:
    waiting = Metric("project_waiting", "gauge", "Envelopes of a project that are to be sent.")
    parked = Metric("project_parked", "gauge", "Envelopes of a project that Sentry refused.")
    # Zeros are exported too: if a series ends, a reader cannot know its last value.
    for project in sorted(
        found.held.keys() | {destination.project_id for destination in found.destinations}
    ):
        held = found.held.get(project, ledger.Held())
        waiting.add(held.waiting, project=project)
        parked.add(held.parked, project=project)
    yield from (waiting, parked)


def _of_ages(conn: Connection, now: datetime) -> Iterator[Metric]:
    ages = Metric(
        "oldest_envelope_age_seconds",
        "gauge",
        "Age of the oldest envelope in a state that it is to leave; 0 where there is none.",
    )
    for state, oldest in ledger.oldest_by_state(conn, (*WAITING, "parked")).items():
        ages.add(max((now - oldest).total_seconds(), 0.0) if oldest else 0.0, state=state)
    yield ages


def _of_confirmations(conn: Connection, found: Overview, now: datetime) -> Iterator[Metric]:
    asked = Metric("confirmations", "gauge", "Events of the last day asked back from Sentry.")
    blocked = Metric("confirmation_blocked", "gauge", "1 while Sentry's API cannot be asked.")
    for one in confirmations.tallies(conn, found.destinations, current_destinations(), now):
        if one.has_api:
            for state in State:
                asked.add(getattr(one, state), project=one.project_id, state=state)
            blocked.add(int(bool(one.cause)), project=one.project_id)
    yield from (asked, blocked)


def _of_refusals(counters: Mapping[str, int]) -> Metric:
    metric = Metric("refused_total", "counter", "Envelopes that were refused at the door.")
    for name, value in sorted(counters.items()):
        if name.startswith(_REFUSED):
            reason, _, project = name.removeprefix(_REFUSED).rpartition(":")
            metric.add(value, project=project, reason=reason)
    return metric


def _of_requests(counters: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the metrics of this application's own requests.

    They come from counters that only increase: timings cannot be used, because old ones are
    deleted.
    """
    durations = Metric(
        "request_duration_seconds",
        "histogram",
        "How long this application's requests took, but for ingest, static files and probes.",
    )
    below = 0
    for bound, counter in zip((*observations.BOUNDS_S, "+Inf"), observations.BUCKETS, strict=True):
        below += counters.get(counter, 0)
        durations.add(below, "_bucket", le=bound)
    durations.add(counters.get(observations.SUM_US, 0) / 1e6, "_sum")
    yield durations.add(below, "_count")
    failed = counters.get(observations.FAILED, 0)
    yield _one("requests_failed_total", "counter", "Those answered with 500 or more.", failed)


def _of_notifications(conn: Connection) -> Metric:
    found = Metric("notices", "gauge", "Notices of the last 90 days by state, one a channel.")
    for state, count in queries.count_by_state(conn).items():
        found.add(count, state=state)
    return found


def _of_memories() -> Iterator[Metric]:
    counts = memory_status.counts()
    yield _one("memories", "gauge", "Memories that are kept.", counts.memories)
    yield _one("memories_waiting", "gauge", "Memories the index has not got yet.", counts.waiting)
    yield _one(
        "memories_to_remove", "gauge", "Removals the index has not seen yet.", counts.to_remove
    )
    if (is_up := memory_status.is_index_up()) is not None:
        yield _one("index_up", "gauge", "1 if Qdrant answers.", int(is_up))


def _of_service() -> Iterator[Metric]:
    info = Metric("build_info", "gauge", "What runs.")
    environment = current_config().ENVIRONMENT
    yield info.add(1, version=VERSION, release=current_release(), environment=environment)
    yield _one("store_bytes", "gauge", "What the store takes on disk.", size_bytes(current_store()))
    set_aside = current_intake().emergency.count()
    yield _one("set_aside", "gauge", "Events in the emergency folder.", set_aside)


def _one(name: str, kind: str, text: str, value: float) -> Metric:
    return Metric(name, kind, text).add(value)


def _labels(labels: Mapping[str, object]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(str(value))}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
