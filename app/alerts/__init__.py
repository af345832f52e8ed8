"""Alerts: evaluate rules, raise notifications and send them by channels.

task ──▶ evaluation ──▶ rules/<kind> ──▶ notifications ──▶ dispatcher ──▶ channels/<kind>
             └──▶ issue_alerts: new issues and regressions, from the queue that recording writes

rules/         kinds of rules, and the stored rules of one project or of all projects
channels/      kinds of channels, and the stored channels
registry       how kinds register                   errors       input that cannot be stored
notifications  rows of notifications and sendings   queries      lists of them and details
naming         issues that a notification names     wording      its title and lines
messages       a notification as it is sent         reach        whether alerts reach anybody
template       JSON with placeholders               template_values  what placeholders stand for
incidents      what a notification opens at a receiver, and closes when the issue is resolved
http_sender    one request to a checked address     mail         one message by SMTP
targets        whether an address is allowed: checked when it is saved and when it is used
outage         tells that the store cannot be written, without the store
"""
