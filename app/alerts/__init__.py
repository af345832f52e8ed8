"""Alerts: rules are evaluated, and the notifications they raise go out by channels.

task ──▶ evaluation ──▶ rules/<kind> ──▶ notifications ──▶ dispatcher ──▶ channels/<kind>
             └──▶ issue_alerts: new issues and regressions, from the queue that recording writes

rules/         kinds of rules, and the rules of projects or of all
channels/      kinds of channels, and where notifications go
registry       how kinds register                   errors       input that cannot be stored
notifications  rows of notifications and sendings   queries      lists of them and details
naming         issues that a notification names     wording      its title and lines
messages       a notification as it is sent         reach        whether alerts reach anybody
http_sender    one request to a checked address     mail         the same by SMTP
targets        whether an address may be sent to: asked when it is saved and when it is used
"""
