"""More bits of a verdict (see :mod:`app.protocol.scrubbing.names`), only for keys of objects."""

CODE = 16  # source lines
EXEMPT = 32  # structure of the protocol, if the key is in its place in the protocol
UNSAFE = 64  # the key itself contains a secret
