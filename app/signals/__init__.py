"""Signals: what stored envelopes say beside events.

    stored envelope ── a background task, seconds later ── rows of each kind ── pages, API, alerts

kind.py     what a kind is: ``Signal``       kinds.py   all kinds
walk.py     reads each envelope once         state.py   how far the walk has come
logs/       lines of logs
task.py     the background task              tables.py  the table of the walk
"""
