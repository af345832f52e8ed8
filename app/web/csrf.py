"""The token against forged requests: Flask-WTF's, signed once for a session."""

from __future__ import annotations

from functools import lru_cache

from flask import Flask, current_app, g, session
from flask_wtf.csrf import CSRFProtect, generate_csrf
from itsdangerous import URLSafeTimedSerializer

# As many sessions as use the pages at the same time.
SESSIONS = 256
# The field of the form, of the session and of ``g``, and the salt of Flask-WTF.
_FIELD, _SALT = "csrf_token", "wtf-csrf-token"


class Csrf(CSRFProtect):  # type: ignore[misc]  # Flask-WTF has no types
    """Flask-WTF's protection, whose templates get their token from :func:`csrf_token`."""

    def init_app(self, app: Flask) -> None:
        """Check the token of every request that changes something."""
        super().init_app(app)
        app.jinja_env.globals["csrf_token"] = csrf_token
        app.context_processor(lambda: {"csrf_token": csrf_token})


def csrf_token() -> str:
    """Return the token of this session.

    Tokens are valid as long as the session (``WTF_CSRF_TIME_LIMIT``), whenever they were signed.
    Signing took 2 % of the CPU of a page.
    """
    if _FIELD not in g:
        known = session.get(_FIELD)
        if not isinstance(known, str) or not current_app.secret_key:
            return str(generate_csrf())
        g.csrf_token = _signed(current_app.secret_key, known)
    return str(g.csrf_token)


@lru_cache(maxsize=SESSIONS)
def _signed(secret: str | bytes, known: str) -> str:
    signed = URLSafeTimedSerializer(secret, salt=_SALT).dumps(known)
    return signed.decode() if isinstance(signed, bytes) else signed
