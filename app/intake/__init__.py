"""The one way into the store: prepare, group commit, the transaction; the emergency folder for what
the store did not take in time; and retention, which removes what is beyond the limits.

    service.py    Intake: ``accept`` for other programs, ``capture`` for this application
    batching.py   how writers share a transaction
    commit.py     the transaction: a batch into rows
    emergency.py  the emergency folder
    retention.py  what goes when there is too much
"""

from app.intake.service import Intake

__all__ = ["Intake"]
