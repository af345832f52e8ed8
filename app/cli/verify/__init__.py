"""`flask verify`: the self-test, from the configuration to Sentry's answer.

    configuration                              setup.py       the settings and their folders
    store                                      setup.py       its checks are those of `/health`
    Sentry initialised · message captured ·
    exception captured · user context set      capture.py     captured, and read back
    endpoints answer                           endpoints.py   through Flask, without a socket
    DSN parses · resolves · connects · TLS     network.py     the way to Sentry, hop by hop
    accepts                                    acceptance.py  what Sentry says to a real event
    delivered                                  delivery.py    its trail, to the end

Checks run in this order; :mod:`~app.cli.verify.checks` times them, turns what they raise into a
``fail``, and skips those that stand on one that failed. :mod:`~app.cli.verify.command` prints them.
"""

from __future__ import annotations

from app.cli.verify.command import verify

__all__ = ["verify"]
