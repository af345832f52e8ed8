"""Delivery: the way of an envelope to Sentry, and its accounting."""
