"""What became of one try to send a notification, whichever way it went."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """One try.

    :param status: of HTTP or SMTP; ``None`` without an answer.
    :param note: why it failed, or what else is to be known of it; holds no secret.
    :param is_final: no later try would change it.
    """

    is_sent: bool
    status: int | None = None
    note: str = ""
    is_final: bool = False
