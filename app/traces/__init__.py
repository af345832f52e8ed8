"""Traces: the spans of all projects that belong together, and the list of transactions.

    stored envelope ── the walk of app/signals ── recording ── two tables
    a trace is opened ── reading: its envelopes, their spans ── tree ── folding: what a page shows

tables.py     transactions, and which envelopes have spans of a trace
recording.py  reads and writes their rows
listing.py    transactions: slowest, failing, newest
reading.py    the spans and the events of a trace
tree.py       parents, self time, the slowest path
folding.py    the rows of a page: repeated spans together, the rest folded
"""
