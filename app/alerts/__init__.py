"""Alerts: rules that are evaluated, notices that come of them, channels that notices go out by.

targets    may this address be sent to? asked at saving and again at sending
posting    one HTTP request to an address that was validated       mail   the same by SMTP
channels   where notices go                        messages   what they say, to each kind
notices    notices as rows: raised, sent, settled  courier    takes them from there
naming     issues as notices name them             wording  what a notice says of them
reach      whether alerts reach anybody
kinds      what a rule can watch                   rules      of a project, or of all
news       new issues and regressions, from the queue that recording writes
measures   everything that is measured              evaluation a turn: all of it once
loop       the thread that does both, under a lease
"""
