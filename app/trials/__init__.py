"""Test errors: make one for a project, follow it, and say in one sentence where it is.

    kinds      one small function for each kind of error
    sending    record it: this application's by its own SDK, another project's through the door
    door       the SDK of another program, whose envelopes go through the ingest routes
    answer     one sentence about it, and what to do
    waiting    wait until Sentry has answered, in a bounded number of requests
    everywhere one for each of several projects, as a table

Pages, API and ``flask verify`` use it.
"""

from __future__ import annotations
