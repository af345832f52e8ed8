"""What receivers take, as their makers have published it: a model for each, nothing else allowed.

Only the members that we send are written down, with the limits that the maker states.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, StringConstraints


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


# ---- Discord: https://docs.discord.com/developers/resources/webhook#execute-webhook and
# https://docs.discord.com/developers/resources/message#embed-object-embed-limits ------------------


class DiscordField(Shape):
    name: Annotated[str, Field(min_length=1, max_length=256)]
    value: Annotated[str, Field(min_length=1, max_length=1024)]
    inline: bool = False


class DiscordEmbed(Shape):
    title: Annotated[str, Field(min_length=1, max_length=256)]
    description: Annotated[str, Field(min_length=1, max_length=4096)]
    url: AnyHttpUrl
    timestamp: datetime
    color: Annotated[int, Field(strict=True, ge=0, le=0xFFFFFF)]
    fields: Annotated[list[DiscordField], Field(max_length=25)]


class DiscordMentions(Shape):
    parse: list[Literal["roles", "users", "everyone"]]


class DiscordMessage(Shape):
    allowed_mentions: DiscordMentions
    embeds: Annotated[list[DiscordEmbed], Field(min_length=1, max_length=10)]


# ---- Mattermost: https://developers.mattermost.com/integrate/webhooks/incoming/ ------------------


class MattermostMessage(Shape):
    text: Annotated[str, Field(min_length=1, max_length=16383)]


# ---- PagerDuty: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ ---------------


class PagerDutyLink(Shape):
    href: AnyHttpUrl
    text: str


class PagerDutyPayload(Shape):
    summary: Annotated[str, Field(min_length=1, max_length=1024)]
    source: Annotated[str, Field(min_length=1, max_length=10_000)]
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: datetime
    class_: Annotated[str, Field(alias="class")]
    custom_details: dict[str, Any]


class PagerDutyEvent(Shape):
    routing_key: Annotated[str, Field(min_length=32, max_length=32)]
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: Annotated[str, Field(min_length=1, max_length=255)]
    client: str
    client_url: AnyHttpUrl
    links: list[PagerDutyLink]
    payload: PagerDutyPayload


# ---- Telegram: https://core.telegram.org/bots/api#sendmessage ------------------------------------


class TelegramPreview(Shape):
    is_disabled: bool


class TelegramMessage(Shape):
    chat_id: int | str
    text: Annotated[str, Field(min_length=1, max_length=4096)]
    link_preview_options: TelegramPreview


# ---- ntfy: https://docs.ntfy.sh/publish/#publish-as-json -----------------------------------------


class NtfyMessage(Shape):
    topic: Annotated[str, StringConstraints(pattern=r"^[-_A-Za-z0-9]{1,64}$")]
    title: str
    message: str
    tags: list[str]
    priority: Annotated[int, Field(strict=True, ge=1, le=5)]
    click: AnyHttpUrl


SHAPES: dict[str, type[Shape]] = {
    "discord": DiscordMessage,
    "mattermost": MattermostMessage,
    "pagerduty": PagerDutyEvent,
    "telegram": TelegramMessage,
    "ntfy": NtfyMessage,
}
