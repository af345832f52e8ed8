"""The channel kind for e-mail. It uses the mail server of the settings."""

from __future__ import annotations

from app.alerts import mail
from app.alerts.channels.kind import KINDS, ChannelKind, ChannelValues, Senders
from app.alerts.messages import Notification
from app.alerts.outcomes import Outcome
from app.alerts.targets import Targets
from app.output import one_line


@KINDS.register("email", "E-mail", position=10)
class Email(ChannelKind):
    """Sends mail to one or several addresses."""

    summary = "a message to mail addresses"
    address_field = "to"

    def checked_address(self, text: str, targets: Targets) -> str:
        """Return mail addresses, separated by commas."""
        return mail.addresses(text)

    def shown_address(self, address: str) -> str:
        """Return the addresses unchanged, because they are not secret."""
        return address

    def missing_setting(self, senders: Senders) -> str:
        """Return a text if no mail server is set, otherwise an empty one."""
        return "" if senders.mailer else "needs a mail server: set SMTP_HOST"

    def message(self, notification: Notification) -> tuple[str, str]:
        """Return the subject and the text of a mail."""
        project = notification.about["project"]
        links = "\n".join(f"{name}: {url}" for name, url in notification.labelled_links("").items())
        where = f"Project: {one_line(project['name'])}" if project else ""
        paragraphs = [notification.title, "\n".join(notification.lines), where, links]
        return f"[DevEnviro] {notification.title}", "\n\n".join(filter(None, paragraphs)) + "\n"

    def send(self, values: ChannelValues, notification: Notification, senders: Senders) -> Outcome:
        """Send the message to the mail server and return the outcome."""
        if senders.mailer is None:
            return Outcome(False, note="no mail server is set: SMTP_HOST")
        return senders.mailer.send(
            values.address, *self.message(notification), notification.sending.uid
        )
