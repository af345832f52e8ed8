"""The channel kind for PagerDuty. It uses the Events API v2."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from app.alerts.channels.kind import KINDS, ChannelValues
from app.alerts.channels.templated import TemplateChannel

_KEY = re.compile(r"[A-Za-z0-9]{32}")


@KINDS.register("pagerduty", "PagerDuty", position=70)
class PagerDuty(TemplateChannel):
    """Opens an incident, and closes it when the issue is resolved.

    Trigger and resolve carry the same ``dedup_key``. Further notifications about an issue go to the
    incident that is open.

    Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/, 2026-11-27.
    """

    summary = "an incident, closed when the issue is resolved"
    default_address = "https://events.pagerduty.com/v2/enqueue"
    key_label = "Integration key"
    key_help = "the integration key of the Events API v2, 32 characters."
    needs_secret = True
    hidden_names: ClassVar = {"routing_key": "the integration key"}
    ready_made = """{
  "routing_key": "{{routing_key}}",
  "event_action": "{{action}}",
  "dedup_key": "{{incident}}",
  "client": "DevEnviro",
  "client_url": "{{url}}",
  "links": [{"href": "{{url}}", "text": "Open in DevEnviro"}],
  "payload": {
    "summary": "{{title:1000}}",
    "source": "{{project}}",
    "severity": "{{severity}}",
    "timestamp": "{{at}}",
    "class": "{{kind}}",
    "custom_details": {
      "text": "{{text}}",
      "environment": "{{environment}}",
      "release": "{{release}}",
      "culprit": "{{culprit}}",
      "events": "{{events}}",
      "users": "{{users}}"
    }
  }
}"""

    def checked_secret(self, text: str) -> str:
        """Return an integration key.

        :raise ValueError: it cannot be one.
        """
        if not _KEY.fullmatch(text):
            raise ValueError("an integration key of 32 letters and digits is expected")
        return text

    def hidden(self, values: ChannelValues) -> dict[str, Any]:
        """Return the integration key of a channel."""
        return {"routing_key": values.secret or ""}
