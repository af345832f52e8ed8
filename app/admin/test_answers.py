"""The links of answers to test errors: the page on which a person carries out a remedy."""

from __future__ import annotations

from flask import url_for

from app.trials.answer import Answer, Remedy


def links_of(answer: Answer) -> list[tuple[str, str]]:
    """Return the words and the address of each remedy."""
    return [(remedy.words, url_of(remedy)) for remedy in answer.remedies]


def url_of(remedy: Remedy) -> str:
    """Return the address of the page on which a person can carry out a remedy."""
    id = remedy.id
    urls = {
        "project": lambda: url_for("admin.show_project", project_id=id, _anchor="upstream"),
        "keys": lambda: url_for("admin.show_project", project_id=id, _anchor="keys"),
        "deliveries": lambda: url_for("admin.list_of_deliveries", project=id),
        "delivery": lambda: url_for("admin.show_delivery", envelope_id=id),
        "rules": lambda: url_for("admin.list_of_alert_rules", project=id),
        "channels": lambda: url_for("admin.list_of_channels"),
        "channel": lambda: url_for("admin.show_channel", channel_id=id),
    }
    return urls[remedy.place]()
