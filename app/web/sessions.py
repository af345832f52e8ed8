"""Sessions in a signed cookie, as Flask's, but with a cookie that is not written by every page."""

from __future__ import annotations

import time

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, bytes_to_int

# A session ends so long after its last page. It may be so much less: a younger cookie stays.
RENEW_AFTER_S = 60


class Sessions(SecureCookieSessionInterface):
    """Sessions whose cookie is signed again when it is a minute old, or when they changed.

    Flask signs it for every page, which takes 5 % of the CPU of a page.
    """

    _serializer: tuple[object, URLSafeTimedSerializer] | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the serializer, the same one as long as the secret is the same."""
        made = self._serializer
        if made is not None and made[0] == app.secret_key:
            return made[1]
        serializer = super().get_signing_serializer(app)
        if serializer is not None:
            self._serializer = app.secret_key, serializer
        return serializer

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Return whether the session changed, or has to be prolonged."""
        if session.modified or not session.permanent:
            return session.modified
        cookie = request.cookies.get(self.get_cookie_name(app), "")
        return time.time() - _signed_at(cookie) >= RENEW_AFTER_S


def _signed_at(cookie: str) -> int:
    """Return when a cookie was signed, in Unix time; its signature was checked when it was read."""
    try:
        return bytes_to_int(base64_decode(cookie.rsplit(".", 2)[1]))
    except (BadData, IndexError):
        return 0
