"""Further bits of a verdict, see :mod:`app.protocol.scrubbing.names`, on keys of objects only."""

CODE = 16  # source lines
EXEMPT = 32  # protocol structure, if it stands where the protocol has it
UNSAFE = 64  # the key itself contains a secret
