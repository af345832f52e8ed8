"""The shapes of answers; what the OpenAPI document shows is what the views build."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["fatal", "error", "warning", "info", "debug"]
Check = Literal["pass", "warn", "fail"]
Next = Annotated[
    str | None,
    Field(
        description="The `cursor` of the next page, null where nothing is left. A page may have"
        " fewer rows than `limit`, even none, and still have one: a filter that no index answers"
        " looks at 20,000 rows at most before it answers."
    ),
]


class FieldError(BaseModel):
    """One wrong field."""

    field: str
    message: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None
    event_id: str | None = None
    links: dict[str, str] | None = None


class SentryState(BaseModel):
    """Whether errors of any project go on to Sentry."""

    enabled: bool


class Health(BaseModel):
    """What the public may know."""

    status: Check
    environment: str
    release: str
    sentry: SentryState
    checks: dict[str, Check]


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["pass"]


class Recorded(BaseModel):
    """An event that was asked for, and where it is to be seen."""

    event_id: str | None
    links: dict[str, str]


class Hop(BaseModel):
    """One hop of the trail; ``ok`` is null while it is open."""

    hop: str
    at: datetime | None
    ms: float | None
    ok: bool | None
    detail: str


class DeliveryState(BaseModel):
    """Where the event's envelope is."""

    state: str
    upstream_id: str | None = None
    url: str | None = None


class Grouping(BaseModel):
    """Why an event belongs to its issue; of an issue, as it was seen last.

    ``reason`` is null for groupings of before there was one.
    """

    version: str
    key: str
    reason: str | None


class TimeCorrection(BaseModel):
    """Why the time of an event is not what its client said.

    `clock_drift`: the client's clock differed when it sent the event, and the time was moved by as
    much. Otherwise the event has the time of receipt: the client's lay in the `future`, more than
    30 days before (`too_old`), or was `impossible`.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[str, Field(alias="from")]
    because: Literal["clock_drift", "future", "impossible", "too_old"]


class EventSummary(BaseModel):
    """An event in a list."""

    event_id: str
    issue_id: int
    project_id: int
    level: Level
    title: str
    culprit: str
    platform: str | None
    logger: str | None
    transaction: str | None
    release: str | None
    environment: str | None
    timestamp: datetime
    timestamp_corrected: Annotated[
        TimeCorrection | None,
        Field(description="What the client said, where `timestamp` is not that."),
    ] = None
    received_at: datetime
    delivery: DeliveryState


class Feedback(BaseModel):
    """What somebody said of an error.

    `event_id` is its own, null for a user report; `associated_event_id` and `issue_id` say what it
    is about, where that is known.
    """

    id: int
    project_id: int
    event_id: str | None
    associated_event_id: str | None
    issue_id: int | None
    message: str
    name: str | None
    email: str | None
    url: str | None
    source: str | None
    attachments: list[dict[str, Any]] = Field(description="Files that came with it.")
    received_at: datetime


class FeedbackPage(BaseModel):
    """A page of feedback, newest first."""

    feedback: list[Feedback]
    next: Next


class Frame(BaseModel):
    """One call, oldest first in its list."""

    function: str | None
    module: str | None
    filename: str | None
    abs_path: str | None
    lineno: int | None
    colno: int | None
    in_app: bool
    context_line: str | None
    pre_context: list[str]
    post_context: list[str]
    vars: dict[str, Any]


class ExceptionValue(BaseModel):
    """One exception of the chain, the oldest cause first in its list."""

    type: str | None
    value: str | None
    module: str | None
    mechanism: str | None
    handled: bool | None
    frames: list[Frame]


class EventDetail(EventSummary):
    """An event whole."""

    message: str | None
    server_name: str | None
    user: dict[str, Any]
    tags: dict[str, str]
    contexts: dict[str, Any]
    extra: dict[str, Any]
    request: dict[str, Any]
    sdk: dict[str, Any]
    exceptions: list[ExceptionValue]
    stack: list[Frame]
    breadcrumbs: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    # Whether there were more, which are no longer kept.
    attachments_removed: bool
    scrubbed: list[dict[str, str]]
    grouping: Grouping
    ignored_by: str | None
    duplicates: int
    trail: list[Hop]


class EventPage(BaseModel):
    """A page of events, newest first."""

    events: list[EventSummary]
    next: Next


class Issue(BaseModel):
    """A group of events."""

    id: int
    project_id: int
    title: str
    culprit: str
    type: str
    level: Level
    status: Literal["unresolved", "resolved", "ignored"]
    regressed: bool
    times_seen: int
    stored_event_count: int
    users: int = Field(description="Exact up to 10,000; more say only that there are more.")
    first_seen: datetime
    last_seen: datetime
    first_release: str | None
    last_release: str | None
    resolved_in: str | None = Field(
        description="The release without it; resolved plainly, the newest one of that time."
    )
    resolved_in_next_release: bool = Field(
        description="Resolved in the release after those of that time; `resolved_in` names it once"
        " it appears. Null until then."
    )
    grouping: Grouping
    hours: list[int] = Field(description="Events an hour in the last 24, oldest first.")


class TypeCount(BaseModel):
    """How many events are of a type of error."""

    type: str
    times_seen: int


class IssueDetail(Issue):
    """One issue; `types` has the ten commonest types of errors in `<other>`, null for any other."""

    types: list[TypeCount] | None


class IssuePage(BaseModel):
    """A page of issues, the one seen last first."""

    issues: list[Issue]
    next: Next
    total: int | None = Field(
        description="How many there are; null beyond 10,000, and where a filter would have to look"
        " at more than 20,000 rows to count them."
    )


class DayUsers(BaseModel):
    """How many users met an error on a day (UTC); 10,000 or more say only that there are more."""

    day: date
    users: int


class IssueUsers(BaseModel):
    """The users of an issue by day, of the last 30, the oldest first."""

    users: list[DayUsers]


class Transition(BaseModel):
    """Something that happened to an issue."""

    id: int
    issue_id: int
    at: datetime
    kind: str = Field(
        description="first_seen, resolved, reopened, ignored, regressed, commented,"
        " merged or unmerged."
    )
    actor: str | None = Field(description="A user, a token; null for the service itself.")
    event_id: str | None
    note: str | None
    release: str | None


class TransitionPage(BaseModel):
    """A page of an issue's history, newest first."""

    transitions: list[Transition]
    next: str | None


class Changed(BaseModel):
    """Ids of the issues that changed; what was so already is left out."""

    changed: list[int]


class TagValue(BaseModel):
    """A value; `share` is of the events that have the tag, from 0 to 1."""

    value: str
    times_seen: int
    share: float


class Tag(BaseModel):
    """A tag with its most frequent values."""

    key: str
    times_seen: int
    values: list[TagValue]
    other: int = Field(description="Events with any other value.")


class IssueTags(BaseModel):
    """The tags of an issue's events, since they are counted."""

    tags: list[Tag]


class ProjectDelivery(BaseModel):
    """How a project's way to Sentry is; `waiting` and `parked` count envelopes that are here."""

    state: Literal["none", "paused", "open", "limited", "failing", "closed"]
    cause: str | None
    waiting: int
    parked: int


class Project(BaseModel):
    """A program that reports here; `dsn` has its newest key, `keys` are all that work."""

    id: int
    name: str
    dsn: str | None
    upstream: bool
    upstream_host: str | None
    keys: list[str]
    created_at: datetime
    events_per_minute: int | None
    retention_days: int | None
    delivery: ProjectDelivery


class ProjectDetail(Project):
    """A project with its figures; `refused_by_quota` counts envelopes, and so does `refused`, by
    reason.
    """

    events: int
    issues: int
    first_seen: datetime | None
    last_seen: datetime | None
    refused_by_quota: int
    refused: dict[str, int]


class ProjectKey(BaseModel):
    """A key that was made, and the DSN with it."""

    project_id: int
    public_key: str
    dsn: str


class ProjectList(BaseModel):
    """All projects; project 1 is this application itself."""

    projects: list[Project]


class Accounting(BaseModel):
    """The accounting, in envelopes since the store was made."""

    accepted: int
    local: int
    pending: int
    retry: int
    delivered: int
    parked: int
    expired: int
    discarded: dict[str, int]
    balanced: bool


class Attempt(BaseModel):
    """One try to send an envelope; ``state`` is what it became by it."""

    at: datetime
    status: int | None
    error: str | None
    ms: float
    next_at: datetime | None
    state: str


class Delivery(BaseModel):
    """An envelope and its way to Sentry; in a list with its last attempt alone."""

    id: int
    project_id: int
    event_id: str | None
    item_types: list[str]
    state: str
    reason: str | None
    attempts: list[Attempt]
    attempt_count: int
    received_at: datetime
    next_at: datetime | None
    settled_at: datetime | None
    size_bytes: int
    upstream_id: str | None
    destination: str | None


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first; ``total`` where only a state narrows them."""

    deliveries: list[Delivery]
    next: Next
    total: int | None


class DestinationState(BaseModel):
    """Where a project's envelopes go, and what holds them up."""

    project_id: int
    host: str | None
    state: Literal["none", "paused", "open", "limited", "failing", "closed"]
    cause: str | None
    paused_at: datetime | None
    open_since: datetime | None
    probe_at: datetime | None
    limits: dict[str, datetime]
    delivered_at: datetime | None
    waiting: int
    parked: int


class Owed(BaseModel):
    """What Sentry has still to be told that it was not sent."""

    project_id: int
    reason: str
    category: str
    quantity: int


class DeliveryAction(BaseModel):
    """What a person or a token did to one envelope, to those of a filter, or to a destination."""

    id: int
    at: datetime
    actor: str
    kind: str
    envelope_id: int | None
    project_id: int | None
    filter: dict[str, str]
    envelopes: int


class DeliveryActions(BaseModel):
    """A page of actions, newest first."""

    actions: list[DeliveryAction]
    next: Next


class DeliveryOverview(BaseModel):
    """How delivery is as a whole."""

    counts: dict[str, int]
    oldest_waiting_at: datetime | None
    delivered_per_minute: float
    destinations: list[DestinationState]
    owed: list[Owed]


class Replayed(BaseModel):
    """How many envelopes are sent again; ``skipped`` have no DSN to go to."""

    replayed: int
    skipped: int


class Discarded(BaseModel):
    """How many envelopes were given up."""

    discarded: int


class ClientLoss(BaseModel):
    """What a client says that it lost, or left out as it was set up to."""

    project_id: int
    client: str
    reason: str
    category: str
    quantity: int
    last_day: date


class RefusedCount(BaseModel):
    """How many envelopes were refused for a reason, since the store was made.

    `project_id` is null where it is of no project that there is; `status` is what was answered.
    """

    project_id: int | None
    reason: str
    status: int
    words: str
    count: int


class SystemStatus(BaseModel):
    """How the service, the machine and the store are."""

    service: dict[str, Any]
    process: dict[str, Any]
    machine: dict[str, Any]
    cgroup: dict[str, Any] | None
    store: dict[str, Any]
    vectors: dict[str, Any]
    sentry: dict[str, Any]
    accounting: Accounting | None
    counters: dict[str, int]
    items: dict[str, int]
    client_losses: list[ClientLoss]
    refused: list[RefusedCount]
    versions: dict[str, str]
