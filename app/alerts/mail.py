"""Mail: send a notification as a message to the mail server of the settings."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, getaddresses

from app.alerts.outcomes import Outcome
from app.delivery.client import tls_context
from config import Config

TIMEOUT_S = 10.0
MAX_RECIPIENTS = 20
NOT_ASCII = "SMTP_USERNAME and SMTP_PASSWORD have to be ASCII, for a log-in to the mail server"


class AddressError(ValueError):
    """The text is not a list of mail addresses."""


@dataclass(frozen=True)
class Mailer:
    """A mail server. Its ``repr`` does not show the password.

    :param tls: ``starttls``, ``tls`` or ``off``.
    """

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, config: Config) -> Mailer | None:
        """Return the mailer for a configuration, ``None`` if no mail server is set."""
        if not config.SMTP_HOST:
            return None
        return cls(
            host=config.SMTP_HOST,
            port=config.SMTP_PORT,
            sender=config.SMTP_FROM or f"devenviro@{socket.gethostname()}",
            tls=config.SMTP_TLS,
            username=config.SMTP_USERNAME,
            password=config.SMTP_PASSWORD,
        )

    def send(self, to: str, subject: str, text: str, uid: str) -> Outcome:
        """Send a message to the server and return the outcome. Errors of the server raise nothing.

        :param to: the result of :func:`addresses`.
        :param uid: the same for the same message, so that a recipient can recognise a duplicate.
        """
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{uid}@devenviro>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            server = self._connected()
            try:
                # Raises only if every address is refused.
                refused = server.send_message(message)
            finally:
                _leave(server)
        except UnicodeError:
            # The error holds the password, so nothing may report it.
            return Outcome(False, None, NOT_ASCII)
        except (OSError, smtplib.SMTPException) as error:
            return Outcome(False, getattr(error, "smtp_code", None), _cause(error))
        note = f"{len(refused)} of the addresses were refused" if refused else ""
        return Outcome(True, 250, note)

    def _connected(self) -> smtplib.SMTP:
        if self.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_S, context=tls_context()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        try:
            if self.tls == "starttls":
                server.starttls(context=tls_context())
            if self.username:
                server.login(self.username, self.password or "")
        except BaseException:
            server.close()
            raise
        return server


def addresses(text: str) -> str:
    """Return mail addresses in the form in which they are stored, separated by commas.

    :raise AddressError: one of them is not a mail address, or there are too many.
    """
    if not text.isascii() or not text.isprintable():
        raise AddressError("mail addresses in ASCII are expected")
    found = [address.strip() for _, address in getaddresses(text.split(","))]
    if not found or not all(_is_address(address) for address in found):
        raise AddressError("mail addresses, separated by commas, are expected")
    if len(found) > MAX_RECIPIENTS:
        raise AddressError(f"at most {MAX_RECIPIENTS} addresses are expected")
    return ", ".join(dict.fromkeys(found))


def _is_address(text: str) -> bool:
    user, _, domain = text.rpartition("@")
    return bool(user and domain) and len(text) <= 254 and not set(text) & set(' "<>()[]:;,\\')


def _leave(server: smtplib.SMTP) -> None:
    # The server has accepted or refused the message already. An error of QUIT changes nothing.
    with contextlib.suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


# The first entry that matches the type of an error is used.
_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (smtplib.SMTPAuthenticationError, "the mail server refuses the login"),
    (smtplib.SMTPRecipientsRefused, "the mail server refuses every address"),
    (smtplib.SMTPResponseException, "the mail server refuses the message"),
    (
        smtplib.SMTPNotSupportedError,
        "the mail server does not offer what SMTP_TLS or SMTP_USERNAME ask for",
    ),
    (socket.gaierror, "DNS: the name of the mail server does not resolve"),
    (ConnectionRefusedError, "connection refused: nothing listens there"),
    (TimeoutError, "no answer in time"),
)


def _cause(error: Exception) -> str:
    """Return in words why a message could not be sent. The text contains no password."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason or 'failed'}"
    found = (words for kind, words in _CAUSES if isinstance(error, kind))
    return next(found, "the mail server broke off")
