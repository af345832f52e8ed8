"""What all those rows say: how fast, how often, how many failed.

    observer     this application's own requests, counted as they are answered
    performance  rates and percentiles, by transaction, by release, over time
    releases     since when, what they brought, the users they touched
    health       how sessions ended, by release

The rows themselves are written by the transaction that accepts an envelope, hence below
(:mod:`app.events.timings`).
"""
