"""The document of an event: the tokens by which the indexes find it.

event ─┬─ values of keys and tags ── tokens of equality
       └─ titles, exceptions, frames, messages, tags ── tokens of words

Tokens are *shared* if other events of the issue probably have them, too. The document of an issue
is made of shared tokens; those of users, addresses and traces would only fill it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from app.issues.counting import KEY_LENGTH
from app.protocol.event import Event, Frame
from app.protocol.lenient import parse_event_id, read_dict, read_hex, read_name, read_text
from app.protocol.slug import MAX_SLUG, read_slug
from app.search.tokens import (
    ANY,
    ANYWHERE,
    ERROR_VALUE,
    MESSAGE,
    equal,
    has,
    of_grouping,
    of_texts,
)

# A change of how tokens are made gets a new version; the index is then made again.
VERSION = 1
MAX_TOKENS = 2000
# Of an event; the newest calls come first.
MAX_FRAMES = 200
MAX_TAGS = 100
USER_KEYS = ("id", "email", "username", "ip")

FACTS = ("level", "release", "environment", "platform", "transaction")

Facts = Mapping[str, str | None]
Pairs = Iterator[tuple[str, str | None]]


class Document(NamedTuple):
    """The tokens of an event, each once.

    :param own: those that other events of its issue probably do not have.
    """

    shared: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """All tokens, those of equality first."""
        return (*self.own, *self.shared)


def document_of(
    event: Event,
    *,
    project_id: int,
    title: str = "",
    grouping_id: int | None = None,
    facts: Facts | None = None,
) -> Document:
    """Return the document of an event.

    :param title: as its row has it, if that differs from the title of the payload.
    :param grouping_id: the grouping that assigned it to its issue.
    :param facts: values of FACTS as its row has them, which lists show and link to.
    """
    given = {key: getattr(event, key) for key in FACTS} if facts is None else facts
    known = [*given.items(), ("sdk.name", read_name(event.sdk.get("name")))]
    own = dict.fromkeys(_own(event, project_id, grouping_id))
    room = MAX_TOKENS - min(len(own), MAX_TOKENS // 2)
    shared: dict[str, None] = {}
    for token in _shared(event, title, known):
        shared[token] = None
        if len(shared) >= room:
            break
    return Document(tuple(shared), tuple(own)[: MAX_TOKENS // 2])


def _own(event: Event, project_id: int, grouping_id: int | None) -> Iterator[str]:
    yield ANY
    yield equal("project", str(project_id))
    if grouping_id is not None:
        yield of_grouping(grouping_id)
    pairs = [*_user(event), *_addresses(event), ("trace", _trace(event))]
    yield from _equalities(pairs)
    if any(value for key, value in pairs if key.startswith("user.")):
        yield has("user")
    yield from _equalities(_monitor(event))
    for key, text in pairs:
        if text and key != "trace":
            yield from of_texts(ANYWHERE, text)


def _shared(event: Event, title: str, facts: list[tuple[str, str | None]]) -> Iterator[str]:
    yield from _equalities(facts)
    yield from _equalities(_tags(event))
    for error in event.exceptions:
        yield from _equalities([("error.type", error.type)])
    for text in (title, event.title, *(error.type for error in event.exceptions)):
        yield from of_texts(ANYWHERE, text or "")
    yield from _said(event, title)
    for _, text in (*facts, *_tags(event)):
        yield from of_texts(ANYWHERE, text or "")
    for frame in _frames(event):
        yield from _equalities(_of_frame(frame))
        for text in (frame.function, frame.module, frame.filename):
            yield from of_texts(ANYWHERE, text or "")


def _said(event: Event, title: str) -> Iterator[str]:
    """Yield the tokens of messages and of the values of exceptions."""
    for error in event.exceptions:
        if error.value:
            yield has("error.value")
            yield from of_texts(ERROR_VALUE, error.value)
            yield from of_texts(ANYWHERE, error.value)
    if event.message or event.message_template:
        yield has("message")
    for text in (event.message, event.message_template, title, event.title):
        yield from of_texts(MESSAGE, text or "")
        yield from of_texts(ANYWHERE, text or "")


def _equalities(pairs: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    for key, value in pairs:
        if value is not None:
            yield equal(key, value)
            yield has(key)


def _tags(event: Event) -> Pairs:
    if event.server_name:
        yield "tags[server_name]", event.server_name
    tags = [pair for pair in event.tags.items() if pair[0] != "url"][:MAX_TAGS]
    for key, value in tags:
        yield tag_key(key), value


def tag_key(name: str) -> str:
    """Return the key under which a tag stands in the index; a tag may be named as another key."""
    return f"tags[{name[:KEY_LENGTH]}]"


def _user(event: Event) -> Pairs:
    for key in USER_KEYS:
        yield f"user.{key}", read_name(event.user.get("ip_address" if key == "ip" else key))


def _addresses(event: Event) -> Pairs:
    """Yield the URL of the request, without its query, and the path of the URL."""
    tag = event.tags.get("url")
    if tag is not None:
        yield "tags[url]", tag
    for url in dict.fromkeys((read_name(event.request.get("url")), tag)):
        if url:
            page = url.partition("?")[0].partition("#")[0]
            yield "url", page
            path = page.partition("://")[2].partition("/")
            if path[1]:
                yield "url", f"/{path[2]}"


def _trace(event: Event) -> str | None:
    given = read_dict(event.contexts.get("trace")).get("trace_id")
    return read_hex(given, 32) or read_text(given)


def _monitor(event: Event) -> Pairs:
    """Yield the monitor and the check-in that an error names, under the keys of Sentry's tags.

    They came with no new VERSION: for the few old events that have them, making the index of all
    events again would cost more than it gives.
    """
    context = read_dict(event.contexts.get("monitor"))
    slug = read_slug(context.get("slug"))
    yield tag_key("monitor.slug"), slug if 0 < len(slug) <= MAX_SLUG else None
    id = context.get("id", context.get("check_in_id"))
    yield tag_key("monitor.id"), parse_event_id(id)


def _of_frame(frame: Frame) -> Pairs:
    yield "stack.function", frame.function
    yield "stack.module", frame.module
    yield "stack.filename", frame.filename
    if frame.filename:
        # The name without its folders: most people know only that.
        yield "stack.filename", frame.filename.replace("\\", "/").rpartition("/")[2]


def _frames(event: Event) -> list[Frame]:
    """Return the frames of all exceptions, the newest calls first."""
    stacks = [error.frames for error in reversed(event.exceptions)] or [event.stack]
    share = max(MAX_FRAMES // len(stacks), 1)
    return [frame for frames in stacks for frame in frames[: -share - 1 : -1]][:MAX_FRAMES]
