"""The parts of the Flask application that all packages share.

current.py          the parts of the current application: ``current_store()`` and so on
application.py      settings, headers, the secret of sessions
access.py           the access rule of every route
errors.py           the answers to failing requests
feedback_form.py    the form on the error page
downloads.py        attachments as downloads
delivery_status.py  the delivery status of an event
system.py           the status of the service, the machine and the store
observer.py         the durations of this application's own requests
logs.py             logging, one JSON object per line
"""
