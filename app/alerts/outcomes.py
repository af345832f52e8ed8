"""The outcome of one attempt to send a notification, for all kinds of channels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The outcome of one attempt.

    :param status: HTTP or SMTP status; ``None`` without an answer.
    :param note: why the attempt failed, or another remark. It contains no secret.
    :param is_final: whether a later attempt could not succeed either.
    """

    is_sent: bool
    status: int | None = None
    note: str = ""
    is_final: bool = False
