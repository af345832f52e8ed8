"""What all those rows say: how fast, how often, how many failed.

    observer     this application's own requests, counted as they are answered
    performance  rates and percentiles, by transaction, by release, over time
    health       sessions and users without a crash, by release, over time
    metrics      what programs count and measure themselves
    ai_calls     calls of models, agents and tools: tokens, durations, failures
    releases     since when, what they brought, the users they touched

The rows themselves are written by the transaction that accepts an envelope, hence below
(:mod:`app.stats.measuring`).
"""
