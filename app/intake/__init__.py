"""The only way into the store: prepare an envelope, then write it in a shared transaction.

service.py    Intake: ``accept`` for other programs, ``capture`` for this application
batching.py   group commit: how several writers share a transaction
preparing.py  scrubs, reads and groups an envelope; prepared.py has the result
commit.py     the transaction: writes a batch of envelopes as rows
emergency.py  the emergency folder: envelopes that the store could not write in time
retention.py  removes what exceeds the limits
"""

from app.intake.service import Intake

__all__ = ["Intake"]
