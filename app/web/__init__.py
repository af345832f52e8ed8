"""Flask's side of the application.

current.py          the parts of the current application: ``current_store()`` and so on
application.py      settings, headers, the session's secret
access.py           the rule of every route
errors.py           what a failing request answers
feedback_form.py    the form on the error page
downloads.py        attachments as downloads
delivery_status.py  how far an event is on its way to Sentry
system.py           how the service, the machine and the store are
observer.py         how long this application's own requests took
logs.py             one JSON object a line
"""
