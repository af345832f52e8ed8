"""E-mail, by the mail server that the settings name."""

from __future__ import annotations

from app.alerts import mail
from app.alerts.channels.kind import KINDS, ChannelKind, Senders
from app.alerts.messages import Notification
from app.alerts.outcomes import Outcome
from app.alerts.targets import Targets
from app.output import one_line


@KINDS.register("email", "E-mail", position=10)
class Email(ChannelKind):
    """Mail to one address or several."""

    summary = "a message to mail addresses"
    address_field = "to"

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return mail addresses, separated by commas."""
        return mail.addresses(text)

    def shown_address(self, address: str) -> str:
        """Return the addresses: they are no secret."""
        return address

    def missing_setting(self, senders: Senders) -> str:
        """Return that a mail server is missing, if it is."""
        return "" if senders.mailer else "needs a mail server: set SMTP_HOST"

    def message(self, notification: Notification) -> tuple[str, str]:
        """Return subject and text."""
        project = notification.about["project"]
        links = "\n".join(f"{name}: {url}" for name, url in notification.labelled_links("").items())
        where = f"Project: {one_line(project['name'])}" if project else ""
        paragraphs = [notification.title, "\n".join(notification.lines), where, links]
        return f"[DevEnviro] {notification.title}", "\n\n".join(filter(None, paragraphs)) + "\n"

    def send(
        self, address: str, secret: str | None, notification: Notification, senders: Senders
    ) -> Outcome:
        """Hand the message to the mail server."""
        if senders.mailer is None:
            return Outcome(False, note="no mail server is set: SMTP_HOST")
        return senders.mailer.send(address, *self.message(notification), notification.sending.uid)
