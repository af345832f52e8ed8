"""Logs: the lines that programs send as items of the type ``log``.

    envelope ── reading.py ──▶ lines, within bounds ── writing.py ──▶ rows, in the order of time
                                                    └─ document.py ──▶ tokens ── blocks.py

    query ── conditions ── blocks that may have such lines, newest first ── their lines, checked
             └─ terms.py   └─ searching.py                                  └─ matching.py

signal.py      the kind of signal        tables.py     lines and blocks
bits.py        the tokens of a block, as a Bloom filter
counting.py    lines by level over time (read: app/insights/log_rates.py)
expiry.py      what is kept: age and bytes
removing.py    lines that are removed or changed leave no tokens
"""
