"""Search: the grammar of queries, and the indexes that answer them.

text of a query ── grammar.py ──▶ terms ──┬─ of the issue ── conditions on issues
                                          └─ of an event ─── the indexes

keys.py          the keys of a query, and what their values may be
grammar.py       reads a query, and writes it back
issue_search.py  the filter of a list of issues, with a query and a range
issue_terms.py   terms of the issue as conditions
event_search.py  the filter of a list of events, with a query and a range

events and issues ── document.py ──▶ tokens ── the two indexes ◀── clauses.py ── event terms

words.py, tokens.py        how texts become tokens, the same for documents and queries
document.py, reading.py    the document of an event
indexing.py, task.py       write the index after the commit, in the background
issue_documents.py         the documents of issues
index.py                   the full-text tables: sqlite_index.py, postgres_index.py
tables.py, state.py        how far the index has come
clauses.py, lookups.py     from terms to conditions on tokens
running.py                 runs conditions newest first, within bounds
events.py, issues.py       the answers: events, and issues with a matching event
"""
