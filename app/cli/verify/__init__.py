"""`flask verify`: the self-test, from the configuration to the response of Sentry.

    configuration                              setup.py       the settings and their folders
    store                                      setup.py       its checks are those of `/health`
    Sentry initialised · message captured ·
    exception captured · user context set      capture.py     captured, and read back
    endpoints answer                           endpoints.py   through Flask, without a socket
    DSN parses · resolves · connects · TLS     network.py     each step of the connection to Sentry
    accepts                                    acceptance.py  the response of Sentry to a real event
    delivered                                  delivery.py    the delivery of a captured exception

    --confirm: confirmed                       confirmation.py  whether Sentry shows it

    --project: a test error for each project   projects.py    a table: project × hop

Checks run in this order. :mod:`~app.cli.verify.checks` measures their time, reports an exception as
a ``fail``, and skips a check whose precondition failed. :mod:`~app.cli.verify.command` prints the
results.
"""

from __future__ import annotations

from app.cli.verify.command import verify

__all__ = ["verify"]
