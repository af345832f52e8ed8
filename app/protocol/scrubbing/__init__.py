"""The parts of the scrubber; :mod:`app.protocol.scrub` describes the steps for a payload.

    rule_set   the rules, names and patterns of a configuration: judges names, scrubs single strings
    walk       filters values with a secret name, and collects all other strings of a payload
    layouts    what the keys of a dict decide, remembered for the next dict with the same keys
    places     where a collected string is, found only when it matters
    strings    applies the rules to these strings, and finds copies of secrets
    changes    the changes of a payload, and the scrubbing report

To add a kind of secret, add one entry: a name in :mod:`names`, a key with a fixed prefix in
:mod:`tokens`, any other form in :mod:`registry`. The search for hints is built from the entries.
"""
