"""Delivery: the way of an envelope to Sentry, and the books that are kept of it."""
