"""Demo projects: made-up errors of three months, to try the pages with.

    plan.py       which bugs there are, how often each occurs, and when; the same for a seed
    payloads.py   an event of a bug, as an SDK would send it
    monitors.py   jobs and their latest runs
    filling.py    stores the events through the intake, decides some issues, removes it all

Demo projects are marked (``projects.is_demo``): they are never forwarded, no alert looks at them,
and their envelopes are in the state ``demo``, which the accounting leaves out.
"""
