"""Search: the grammar of queries, and the indexes that answer them.

text of a query ── grammar.py ──▶ terms ──┬─ of the issue ── conditions on issues
                                          └─ of an event ─── the indexes

keys.py          the keys of a query, and what their values may be
grammar.py       reads a query, and writes it back
issue_search.py  the filter of a list of issues, with a query and a range
issue_terms.py   terms of the issue as conditions
row_terms.py     terms of an event that the row of an issue answers
"""
