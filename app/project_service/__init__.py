"""The project service: projects as a whole, with their destination and figures.

inputs.py     the fields of a project that can be changed
checking.py   checks them: where a DSN and an address of Sentry's API may lead
changing.py   creates or changes a project with its destination
details.py    reads a project with its destination and figures

Only this package writes the DSN of a destination, and the token of Sentry's API. No page and no
command shows them again: they show only hosts.
"""
