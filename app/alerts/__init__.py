"""Alerts: rules are evaluated, and the notifications they raise go out by channels.

task ──▶ evaluation ──▶ rules/<kind> ──▶ notifications ──▶ dispatcher ──▶ channels/<kind>
             └──▶ issue_alerts: new issues and regressions, from the queue that recording writes

rules/         of a project, or of all                  channels/    where notifications go
registry       kinds are classes that register          errors       input that cannot be kept
notifications  notifications as rows: raised, sent, settled   queries      notifications as they are read
naming         issues as notifications name them              wording      what a notification says of them
messages       a notification on its way out                  reach        whether alerts reach anybody
http_sender    one request to a validated address       mail         the same by SMTP
targets        may this address be sent to? asked at saving and again at sending
"""
