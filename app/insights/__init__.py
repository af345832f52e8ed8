"""Insights: read the counts of :mod:`app.stats` as rates, percentiles and figures over time.

    observer     this application's own requests, counted as they are answered
    performance  rates and percentiles, by transaction, by release, over time
    health       sessions and users without a crash, by release, over time
    metrics      values that programs count and measure themselves
    log_rates    lines of logs by level, over time
    ai_calls     calls of models, agents and tools: tokens, durations, failures
    releases     first seen, new issues, affected users and sessions of a release

The transaction that accepts an envelope writes the counts. That code is in a lower layer
(:mod:`app.stats.measuring`).
"""
