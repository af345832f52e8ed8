"""Alerts: rules that are evaluated, notifications that come of them, channels that notifications go
out by.

targets    may this address be sent to? asked at saving and again at sending
posting    one HTTP request to an address that was validated       mail   the same by SMTP
channels   where notifications go                        messages   what they say, to each kind
notifications    notifications as rows: raised, sent, settled  dispatcher    takes them from there
naming     issues as notifications name them             wording  what a notification says of them
reach      whether alerts reach anybody
kinds      what a rule can watch                   rules      of a project, or of all
news       new issues and regressions, from the queue that recording writes
measures   everything that is measured              evaluation a turn: all of it once
loop       the thread that does both, under a lease
"""
