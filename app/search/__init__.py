"""Search: the grammar of queries, and the indexes that answer them.

text of a query ── grammar.py ──▶ terms ──┬─ of the issue ── conditions on issues
                                          └─ of an event ─── the indexes

keys.py     the keys of a query, and what their values may be
grammar.py  reads a query, and writes it back
"""
