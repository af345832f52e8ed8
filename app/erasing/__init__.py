"""Erase a person: everything that has their id, e-mail address or IP address.

    identifier  what may be erased: checked, normalised, hashed for reports          pure
    patterns    where an identifier stands in a text, in plain and encoded            pure
    person      what is theirs in a text, a value, a file                             pure
    values      JSON values: users, tags, attributes     contents    other items      pure
    bodies      a whole envelope                                                      pure

    columns     every column of texts: where it is handled, or why it has no personal data
    envelopes   bodies, events, accounting      rows        texts in all other tables
    feedback, tags, similarity, users, memories, search, emergency      a place each
    disk        what was deleted must not be readable in the files

    run         count or erase, in one order; the report
    records     the runs as rows                tables      their table
    jobs        a run in a thread of the server

A place is looked through without the writer's lock; what has the person is changed in short
transactions. So the service goes on meanwhile. An identifier is never logged or stored.
"""

from __future__ import annotations
