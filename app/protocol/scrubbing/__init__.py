"""The parts of the scrubber; :mod:`app.protocol.scrub` says how a payload goes through them.

    rule_set   rules, names and patterns of one configuration: judges names, changes single strings
    walk       one payload: filters what has a secret name, collects the other strings
    strings    applies the rules to those, and finds copies of secrets
    changes    what is changed, and the report of it

A new kind of secret is one entry: a name in :mod:`names`, a key with a prefix in :mod:`tokens`, any
other look in :mod:`registry`. What makes a string worth the look follows from the entry.
"""
