"""Monitors: whether jobs ran when they had to, from the check-ins that they send.

    check-in ── check_in.py ── recording.py ──┐
    time passes ── evaluation.py ─────────────┴─ machine.py ── runs and states ── queries.py

schedule.py   crontab or interval: when a run is expected
wall_clock.py the next run of a crontab where the clock changes
settings.py   what a monitor expects, from a program or from a person
check_in.py   reads check-ins of envelopes           machine.py    decides, without a store
recording.py  applies check-ins                      rate.py       counts runs beyond the rate
evaluation.py finds missed and endless runs
states.py     states and open runs as rows           watch.py      when nobody watched
changes.py    monitors that people make and change   queries.py    monitors and runs for pages
expiry.py     removes old runs                       tables.py     the tables
"""
