"""The parts of the scrubber, whose way :mod:`app.protocol.scrub` tells.

A new kind of secret is one entry: a name in :mod:`names`, a key with a prefix in :mod:`tokens`, any
other look in :mod:`registry`. What makes a string worth the look follows from the entry.
"""
